/** The one way that nodes are made here: text goes in as text, attributes as attributes, nothing as HTML. */

/** Makes an element; a true attribute is set bare, a null or false one is left out. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}
