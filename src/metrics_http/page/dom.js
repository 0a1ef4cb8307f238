// Nodes are made once and then changed in place, so that nothing flickers and no focus is lost. What
// comes from the program is only ever set as text.

const SVG = "http://www.w3.org/2000/svg";

// element("p", {class: "muted"}, "text", otherElement)
function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svgElement(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setAttribute(node, name, value) {
  const text = String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

function setWidth(node, share) {
  const width = `${(100 * Math.min(Math.max(share, 0), 1)).toFixed(2)}%`;
  if (node.dataset.width === width) return;
  node.dataset.width = width;
  node.style.width = width;
}

// Gives `parent` a child for each item, in their order: those whose key is there already are kept.
// `make(item)` returns {node, update(item)}.
function keepChildren(parent, items, keyOf, make) {
  const before = parent.kept ?? new Map();
  const kept = new Map();
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    if (kept.has(key)) continue;
    const child = before.get(key) ?? make(item);
    kept.set(key, child);
    before.delete(key);
    if (child.node === place) {
      place = place.nextElementSibling;
    } else {
      parent.insertBefore(child.node, place);
    }
    child.update(item);
  }
  for (const child of before.values()) child.node.remove();
  parent.kept = kept;
}

