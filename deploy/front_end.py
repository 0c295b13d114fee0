"""Copies the front-end files from `node_modules/` to `static/vendor/`: for the image, which has fetched them already."""

from __future__ import annotations

from deploy.local.installed import copy_front_end

if __name__ == "__main__":
    copy_front_end()
