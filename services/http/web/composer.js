// The line for a question.

import { element } from "./dom.js";
import { preparePicture } from "./pictures.js";
import { remover, span, worded } from "./words.js";

const MAX_PICTURES = 3;
const MAX_HEIGHT_PX = 180;

export class Composer {
	#pictures = [];
	#preparing = new Set();
	#busy = false;

	parts = Object.fromEntries([...document.querySelectorAll("#composer, #composer [id]")].map((node) => [node.id, node]));

	constructor({ onAsk, onStop }) {
		this.onAsk = onAsk;
		this.#listenToLine(onStop);
		this.#listenForPictures();
	}

	get retrieval() {
		return this.parts.modes.querySelector("input:checked").value;
	}

	// While a reply is written, the way to ask is the way to stop.
	setBusy(busy) {
		this.#busy = busy;
		const hadFocus = [this.parts.ask, this.parts.stop].includes(document.activeElement);
		this.parts.ask.hidden = busy;
		this.parts.stop.hidden = !busy;
		if (hadFocus) this.focus();
	}

	focus() {
		this.parts.question.focus({ preventScroll: true });
	}

	clear() {
		this.parts.question.value = "";
		this.#pictures = [];
		this.#showPictures();
		this.#fitHeight();
		this.#tell(null);
	}

	#listenToLine(onStop) {
		const { composer, question, stop } = this.parts;
		composer.addEventListener("submit", (event) => {
			event.preventDefault();
			this.#submit();
		});
		question.addEventListener("input", () => this.#fitHeight());
		question.addEventListener("keydown", (event) => {
			if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
			event.preventDefault();
			this.#submit();
		});
		stop.addEventListener("click", onStop);
		document.addEventListener("keydown", (event) => {
			if (event.key === "Escape" && this.#busy && !event.isComposing) onStop();
		});
	}

	async #submit() {
		await Promise.all(this.#preparing);
		const text = this.parts.question.value.trim();
		if (this.#busy) return;
		if (!text && !this.#pictures.length) return this.focus();
		const pictures = this.#pictures;
		this.clear();
		this.onAsk(text, pictures);
	}

	#listenForPictures() {
		const { attach, picture, composer } = this.parts;
		attach.addEventListener("click", () => picture.click());
		picture.addEventListener("change", () => {
			this.#add(picture.files);
			picture.value = "";
			this.focus();
		});
		const take = (event, files) => {
			if (!files?.length) return;
			event.preventDefault();
			this.#add(files);
		};
		document.addEventListener("paste", (event) => take(event, event.clipboardData?.files));
		document.addEventListener("dragover", (event) => {
			if (!event.dataTransfer?.types.includes("Files")) return;
			event.preventDefault();
			composer.classList.add("is-over");
		});
		document.addEventListener("dragleave", (event) => {
			if (!event.relatedTarget) composer.classList.remove("is-over");
		});
		document.addEventListener("drop", (event) => {
			composer.classList.remove("is-over");
			take(event, event.dataTransfer?.files);
		});
	}

	#add(files) {
		this.#tell(null);
		const room = MAX_PICTURES - this.#pictures.length - this.#preparing.size;
		if (files.length > room) this.#tell("tooMany");
		for (const file of [...files].slice(0, Math.max(0, room))) {
			const preparing = this.#prepare(file).finally(() => this.#preparing.delete(preparing));
			this.#preparing.add(preparing);
		}
	}

	async #prepare(file) {
		try {
			this.#pictures.push(await preparePicture(file));
			this.#showPictures();
		} catch {
			this.#tell("notAPicture");
		}
	}

	#showPictures() {
		const { attachments } = this.parts;
		attachments.replaceChildren(...this.#pictures.map((picture) => this.#preview(picture)));
		attachments.hidden = !this.#pictures.length;
	}

	#preview(picture) {
		const { name, url, width, height } = picture;
		const remove = () => {
			this.#pictures = this.#pictures.filter((other) => other !== picture);
			this.#showPictures();
			this.focus();
		};
		const image = worded(element("img", { src: url, width, height }), { alt: "toSend" }, name);
		return element("li", {}, image, remover(remove, name));
	}

	#fitHeight() {
		const { question } = this.parts;
		question.style.height = "auto";
		question.style.height = `${Math.min(question.scrollHeight, MAX_HEIGHT_PX)}px`;
	}

	#tell(key) {
		this.parts.notice.replaceChildren(key ? span(key, MAX_PICTURES) : "");
	}
}
