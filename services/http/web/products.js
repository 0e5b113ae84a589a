/** Products as a grid of plates. Every box has its size before its picture is there. */

import { pictureSource } from "./api.js";
import { element } from "./dom.js";
import { keyFolder } from "./key.js";
import { locale, say, worded } from "./words.js";

export class Plates {
  element = worded(element("ul", { class: "plates" }), { "aria-label": "pieces" });

  add(products) {
    this.element.append(...products.map(plate));
    this.element.dataset.count = this.element.children.length;
    this.element.classList.toggle("odd", this.element.children.length % 2 === 1);
  }
}

function plate(product) {
  const name = product.caption || say("unnamed");
  const details = [product.brand, price(product)].filter(Boolean);
  const caption = element("span", { class: "plate-caption" }, element("span", { class: "plate-name" }, name));
  caption.append(...details.map((detail) => element("span", { class: "plate-details" }, detail)));
  const link = webAddress(product.item_url) ?? ownPage(product.page_url);
  const frame = link ? linkTo(link, [name, ...details].join(", ")) : element("div", { class: "plate-frame" });
  frame.append(picture(product, name), caption);
  return element("li", { class: "plate", "data-id": product.id }, frame);
}

/** A bare number as the reader writes numbers; else as the catalogue has it. */
function price({ price, currency }) {
  const number = Number(price);
  return number ? [number.toLocaleString(locale()), currency].filter(Boolean).join(" ") : price;
}

function linkTo(href, name) {
  const link = element("a", { class: "plate-frame", href, target: "_blank", rel: "noopener noreferrer" });
  return worded(link, { "aria-label": "opens" }, name);
}

function picture(product, name) {
  const image = element("img", { loading: "lazy", decoding: "async", draggable: "false" });
  const box = element("span", { class: "plate-picture" }, worded(image, { alt: "pictureOf" }, name));
  const miss = () => {
    box.classList.add("is-missing");
    box.replaceChildren(worded(element("span"), { text: "noPicture" }));
  };
  image.addEventListener("error", miss);
  image.addEventListener("load", () => {
    box.classList.add("is-shown");
    URL.revokeObjectURL(image.src);
  });
  pictureSource(product.image_url).then((source) => (image.src = source), miss);
  return box;
}

/** A link sends no headers: a key goes in the path. */
const ownPage = (path) => path && keyFolder() + path.slice(1);

/** The address, if a reader may be sent there: not to a feed's `javascript:`. */
function webAddress(address) {
  if (!address || !URL.canParse(address, document.baseURI)) return null;
  const { protocol, href } = new URL(address, document.baseURI);
  return protocol === "https:" || protocol === "http:" ? href : null;
}
