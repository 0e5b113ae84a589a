// Text goes in as text, never as HTML.
export function element(tag, attributes = {}, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		node.setAttribute(name, value === true ? "" : value);
	}
	node.append(...children);
	return node;
}
