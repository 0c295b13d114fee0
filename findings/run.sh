#!/usr/bin/env bash
# `make findings`: each script in turn, and at the end which of them no longer show what they say.
set -uo pipefail
cd "$(dirname "$0")"
failed=()
count=0
for script in *.sh; do
    [ "$script" = run.sh ] && continue
    count=$((count + 1))
    echo "== ${script%.sh}"
    bash "$script" || failed+=("${script%.sh}")
done
echo
echo "$count findings, ${#failed[@]} of them not as written${failed[*]:+: ${failed[*]}}"
[ ${#failed[@]} = 0 ]
