// Parts of a page that ask for themselves again say which version they have; 304 leaves them as they are.
(() => {
  "use strict";
  document.addEventListener("htmx:configRequest", (event) => {
    const known = event.detail.elt.dataset.etag;
    if (known && event.detail.verb === "get") event.detail.headers["If-None-Match"] = known;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, xhr } = event.detail;
    const etag = "etag" in elt.dataset && xhr.status === 200 && xhr.getResponseHeader("ETag");
    if (etag) elt.dataset.etag = etag;
  });
})();
