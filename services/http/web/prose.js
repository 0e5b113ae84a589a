// Text as paragraphs, lists and bold words.

import { element } from "./dom.js";

const ITEM = /^\s*(?:[-*•]|(\d{1,3})[.)])\s+(.*)$/;

export class Prose {
	element = element("div", { class: "prose" });

	update(text) {
		this.element.replaceChildren(...parseBlocks(text).map(buildBlock));
	}
}

function parseBlocks(text) {
	const blocks = [];
	let afterBlank = true;
	for (const line of text.split("\n")) {
		if (line.trim() === "") {
			afterBlank = true;
			continue;
		}
		addLine(blocks, line, afterBlank);
		afterBlank = false;
	}
	return blocks;
}

function addLine(blocks, line, afterBlank) {
	const last = blocks.at(-1);
	const item = listItem(line);
	if (item && last?.tag === item.tag) last.items.push(item.entry);
	else if (item) blocks.push({ tag: item.tag, items: [item.entry] });
	else if (afterBlank || !last) blocks.push({ tag: "p", text: line.trim() });
	else if (last.tag === "p") last.text += `\n${line.trim()}`;
	else last.items.at(-1).text += ` ${line.trim()}`;
}

function listItem(line) {
	const [item, number, text] = ITEM.exec(line) ?? [];
	return item && { tag: number ? "ol" : "ul", entry: { text, number } };
}

function buildBlock(block) {
	if (block.tag === "p") return element("p", {}, ...inline(block.text));
	const items = block.items.map(({ text, number }) => {
		const item = element("li", {}, ...inline(text));
		if (number) item.value = number;
		return item;
	});
	return element(block.tag, {}, ...items);
}

// What is still open is bold until more text comes.
function inline(text) {
	return text
		.split("**")
		.map((piece, position) => (position % 2 ? element("strong", {}, piece) : piece))
		.filter((node) => (node.textContent ?? node) !== "");
}
