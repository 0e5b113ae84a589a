/** The line in which a question is written: text, pictures by button, paste and drop, and whether to show pieces. */

import { element } from "./dom.js";
import { preparePicture } from "./pictures.js";

const MAX_PICTURES = 3;
const MAX_HEIGHT_PX = 180;
const NOT_A_PICTURE = "That file is not a picture that this browser can read.";
const TOO_MANY = `A question can carry ${MAX_PICTURES} pictures.`;

export class Composer {
  #pictures = [];
  #preparing = new Set();
  #busy = false;

  /** `parts` are the elements by name; `onAsk(text, pictures)` and `onStop()` are called when the user does so. */
  constructor(parts, { onAsk, onStop }) {
    this.parts = parts;
    this.onAsk = onAsk;
    this.#listenToLine(onStop);
    this.#listenForPictures();
  }

  /** "auto", "always" or "never". */
  get retrieval() {
    return this.parts.modes.querySelector("input:checked").value;
  }

  /** While a reply is written, the way to ask is the way to stop. */
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
    this.#tell("");
  }

  #listenToLine(onStop) {
    const { form, question, stop } = this.parts;
    form.addEventListener("submit", (event) => {
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
    const { attach, picture, drop } = this.parts;
    attach.addEventListener("click", () => picture.click());
    picture.addEventListener("change", () => {
      this.#add(picture.files);
      picture.value = "";
      this.focus();
    });
    document.addEventListener("paste", (event) => {
      if (!event.clipboardData?.files.length) return;
      event.preventDefault();
      this.#add(event.clipboardData.files);
    });
    const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
    document.addEventListener("dragover", (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      drop.hidden = false;
    });
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) drop.hidden = true;
    });
    document.addEventListener("drop", (event) => {
      drop.hidden = true;
      if (!carriesFiles(event)) return;
      event.preventDefault();
      this.#add(event.dataTransfer.files);
    });
  }

  #add(files) {
    this.#tell("");
    const room = MAX_PICTURES - this.#pictures.length - this.#preparing.size;
    if (files.length > room) this.#tell(TOO_MANY);
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
      this.#tell(NOT_A_PICTURE);
    }
  }

  #showPictures() {
    const { attachments } = this.parts;
    attachments.replaceChildren(...this.#pictures.map((picture) => this.#preview(picture)));
    attachments.hidden = !this.#pictures.length;
  }

  #preview(picture) {
    const { name, url, width, height } = picture;
    const remove = element("button", { type: "button", "aria-label": `Remove ${name}`, title: "Remove" }, "×");
    remove.addEventListener("click", () => {
      this.#pictures = this.#pictures.filter((other) => other !== picture);
      this.#showPictures();
      this.focus();
    });
    return element("li", {}, element("img", { src: url, width, height, alt: `To send: ${name}` }), remove);
  }

  #fitHeight() {
    const { question } = this.parts;
    question.style.height = "auto";
    question.style.height = `${Math.min(question.scrollHeight, MAX_HEIGHT_PX)}px`;
  }

  #tell(message) {
    this.parts.notice.textContent = message;
  }
}
