// The conversation as a story: each question a pull quote, each reply an article.

import { labelOf } from "./chips.js";
import { codeUnitIndex } from "./conversation.js";
import { element } from "./dom.js";
import { Plates } from "./products.js";
import { Prose } from "./prose.js";
import { button, worded } from "./words.js";

const LONG_CHARS = 140;

export class TurnView {
	#article = element("div", { class: "article" });

	constructor(turn, { onAgain, onCopy }) {
		Object.assign(this, { turn, onAgain, onCopy });
		this.element = element("article", { class: "turn" }, quote(turn), this.#article);
	}

	startReply() {
		this.#article.replaceChildren();
		this.#setState("waiting");
		return new ReplyView(this.#article, () => this.#setState("streaming"));
	}

	restore() {
		const reply = this.startReply();
		reply.addText(this.turn.content);
		reply.addProducts(this.turn.products);
		this.endReply();
	}

	wait(key) {
		this.#article.replaceChildren(remark(key));
	}

	endReply() {
		const { state, note, content, like } = this.turn;
		this.#setState(state);
		if (state === "failed") return this.#fail(note ?? ["unexpected"]);
		for (const [column, asked] of Object.entries(this.turn.unmet ?? {})) {
			this.#article.append(remark("unmet", labelOf(column, asked)));
		}
		if (note) this.#article.append(remark(...note));
		const copy = action("copy", () => this.onCopy(this.turn, copy));
		this.#article.append(element("div", { class: "actions" }, content.trim() ? copy : "", like ? "" : this.#again("again")));
	}

	ask(form) {
		this.#setState("failed");
		this.#article.replaceChildren(form);
		form.querySelector("input").focus();
	}

	// Only the latest question can be asked again.
	passOver() {
		this.#article.querySelectorAll(".latest, .key").forEach((node) => node.remove());
	}

	#fail(note) {
		const words = worded(element("p"), { text: note[0] }, note[1]);
		this.#article.append(element("div", { class: "erratum", role: "alert" }, words, this.#again("retry")));
	}

	#again(key) {
		return action(key, () => this.onAgain(this.turn, this), "latest");
	}

	#setState(state) {
		this.element.dataset.state = state;
		this.#article.setAttribute("aria-busy", String(state === "waiting" || state === "streaming"));
	}
}

const action = (key, onClick, latest = "") => button({ text: key }, onClick, "", { class: `action ${latest}` });

const remark = (key, value) => worded(element("p", { class: "remark" }), { text: key }, value);

// A growing reply: prose, parted by grids of products.
class ReplyView {
	#text = "";
	#pieces = [];

	constructor(article, onFirst) {
		this.article = article;
		this.onFirst = onFirst;
		this.#insertPiece(0, 0);
	}

	addText(text) {
		this.onFirst();
		this.#text += text;
		this.#render(this.#pieces.length - 1);
	}

	addProducts(products) {
		this.onFirst();
		for (const product of products) {
			this.#platesAt(codeUnitIndex(this.#text, product.offset ?? Infinity)).add(product);
		}
	}

	#platesAt(start) {
		const known = this.#pieces.find((piece) => piece.plates && piece.start === start);
		if (known) return known.plates;
		const position = this.#pieces.filter((piece) => piece.start <= start).length;
		const piece = this.#insertPiece(position, start);
		piece.plates = new Plates();
		piece.prose.element.before(piece.plates.element);
		this.#render(position - 1);
		this.#render(position);
		return piece.plates;
	}

	#insertPiece(position, start) {
		const piece = { start, prose: new Prose(), plates: null };
		const before = this.#pieces[position - 1]?.prose.element;
		if (before) before.after(piece.prose.element);
		else this.article.prepend(piece.prose.element);
		this.#pieces.splice(position, 0, piece);
		return piece;
	}

	#render(position) {
		const { start, prose } = this.#pieces[position];
		prose.update(this.#text.slice(start, this.#pieces[position + 1]?.start));
	}
}

function quote({ text, pictures }) {
	const block = element("header", { class: text.length > LONG_CHARS ? "quote long" : "quote" });
	for (const { name, url, width, height } of pictures) {
		block.append(worded(element("img", { src: url, width, height }), { alt: "sent" }, name));
	}
	block.append(text ? element("h2", {}, text) : worded(element("h2", { class: "unseen" }), { text: "onlyPicture" }));
	return block;
}
