// SPDX-License-Identifier: Apache-2.0
//
// Prints pictures as JSON, outside a browser: { "pictures": [{ name, title,
// svg }] }.  `request` is { names, documents }: without names, no svg.
"use strict";

(() => {
  const pictures = picturesOf(request.documents);
  const isWanted = (picture) => request.names.includes(picture.name) || request.names.includes("all");
  const list = request.names.length === 0 ? pictures.map(({ name, title }) => ({ name, title }))
    : pictures.filter(isWanted).map(({ name, title, svg }) => ({ name, title, svg: svg() }));
  process.stdout.write(JSON.stringify({ pictures: list, names: pictures.map((picture) => picture.name) }));
})();
