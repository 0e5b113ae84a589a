/** Products as a grid of plates: picture, name, link. Every box has its size before its picture is there. */

import { element } from "./dom.js";

export class Plates {
  element = element("ul", { class: "plates", "aria-label": "Pieces from the catalogue" });

  /** Adds products to the grid; its first plate is the large one where the count allows. */
  add(products) {
    this.element.append(...products.map(plate));
    this.element.dataset.count = this.element.children.length;
    this.element.classList.toggle("odd", this.element.children.length % 2 === 1);
  }
}

function plate(product) {
  const name = product.caption || "Unnamed piece";
  const caption = element("span", { class: "plate-caption" }, element("span", { class: "plate-name" }, name));
  const link = webAddress(product.item_url);
  const frame = link ? linkTo(link, name) : element("div", { class: "plate-frame" });
  frame.append(picture(product, name), caption);
  return element("li", { class: "plate", "data-id": product.id }, frame);
}

function linkTo(href, name) {
  const label = `${name} (opens in a new tab)`;
  const rel = "noopener noreferrer";
  return element("a", { class: "plate-frame", href, target: "_blank", rel, "aria-label": label });
}

function picture(product, name) {
  const image = element("img", { alt: `Picture of ${name}`, loading: "lazy", decoding: "async", draggable: "false" });
  const box = element("span", { class: "plate-picture" }, image);
  image.addEventListener("load", () => box.classList.add("is-shown"));
  image.addEventListener("error", () => {
    box.classList.add("is-missing");
    box.replaceChildren(element("span", {}, "No picture"));
  });
  image.src = product.image_url;
  return box;
}

/** The address, if it is one that a reader may be sent to; a feed's `javascript:` is not. */
function webAddress(address) {
  if (!address || !URL.canParse(address, document.baseURI)) return null;
  const { protocol, href } = new URL(address, document.baseURI);
  return protocol === "https:" || protocol === "http:" ? href : null;
}
