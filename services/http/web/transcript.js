/**
 * The conversation as a story: each turn a pull quote (the question) and an article (the reply).
 * Knows how a reply grows; knows nothing of where it comes from.
 */

import { codeUnitIndex } from "./conversation.js";
import { element } from "./dom.js";
import { Plates } from "./products.js";
import { Prose } from "./prose.js";

const LONG_QUOTE_CHARS = 90;
const LETTER_CHARS = 280;

export class TurnView {
  #article = element("div", { class: "article" });

  constructor({ text, pictures }) {
    this.element = element("article", { class: "turn" }, quote(text, pictures), this.#article);
  }

  /** Empties the article for a reply and returns what the reply is written to. */
  startReply() {
    this.#article.replaceChildren();
    this.#setState("waiting");
    return new ReplyView(this.#article, () => this.#setState("streaming"));
  }

  /** Marks the reply as "done" or "stopped", with a word to the reader where one is due. */
  endReply(state, remark = "") {
    this.#setState(state);
    if (remark) this.#article.append(element("p", { class: "remark" }, remark));
  }

  /** Shows what went wrong below what has come so far, and a way to try again. */
  failReply(message, onRetry) {
    this.#setState("failed");
    const retry = element("button", { class: "retry", type: "button" }, "Try again");
    retry.addEventListener("click", onRetry);
    const words = element("p", {}, message);
    this.#article.append(element("div", { class: "erratum", role: "alert" }, words, retry));
  }

  /** A question that has been passed over can't be asked again. */
  retireRetry() {
    this.#article.querySelector(".retry")?.remove();
  }

  #setState(state) {
    this.element.dataset.state = state;
    this.#article.setAttribute("aria-busy", String(state === "waiting" || state === "streaming"));
  }
}

/** A growing reply: pieces of prose, with a grid of products wherever one was asked for. */
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

  /** Puts products at their offsets in the text; the text around an offset is parted there. */
  addProducts(products) {
    this.onFirst();
    for (const product of products) {
      this.#platesAt(codeUnitIndex(this.#text, product.offset ?? Infinity)).add([product]);
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

function quote(text, pictures) {
  const block = element("header", { class: "quote", "data-length": quoteLength(text) });
  for (const { name, url, width, height } of pictures) {
    block.append(element("img", { src: url, width, height, alt: `Picture that you sent: ${name}` }));
  }
  const words = text || "A picture";
  block.append(element("h2", { class: text ? null : "unseen" }, words));
  return block;
}

function quoteLength(text) {
  if (text.length <= LONG_QUOTE_CHARS) return "short";
  return text.length <= LETTER_CHARS ? "long" : "letter";
}
