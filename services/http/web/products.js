// Products as plates in a grid, each with its size before its picture is there.

import { pictureSource } from "./api.js";
import { element } from "./dom.js";
import { keyFolder } from "./key.js";
import { locale, say, span, worded } from "./words.js";

export class Plates {
	element = worded(element("ul", { class: "plates" }), { "aria-label": "pieces" });

	add(product) {
		this.element.append(plate(product));
		const count = this.element.children.length;
		this.element.dataset.count = count;
		this.element.classList.toggle("odd", count % 2);
	}
}

export const nameOf = ({ title, caption }) => title || caption || say("unnamed");

export function plate(product) {
	const name = nameOf(product);
	const details = [product.brand, price(product.price)].filter(Boolean);
	const caption = element("span", { class: "plate-caption" }, element("span", { class: "plate-name" }, name));
	caption.append(...details.map((detail) => element("span", { class: "plate-details" }, detail)));
	const link = webAddress(product.item_url) ?? ownPage(product.page_url);
	const frame = link
		? element("a", { class: "plate-frame", href: link, target: "_blank", rel: "noopener noreferrer" })
		: element("div", { class: "plate-frame" });
	if (link) worded(frame, { "aria-label": "opens" }, [name, ...details].join(", "));
	frame.append(picture(product, name), caption);
	const acts = ["like", "hide"].map((act) => {
		const words = { text: act, "aria-label": `${act}One` };
		return worded(element("button", { class: "action", type: "button", "data-act": act }), words, name);
	});
	return element("li", { class: "plate", "data-id": product.id }, frame, element("div", { class: "acts" }, ...acts));
}

// With a long number as the reader writes numbers.
const price = (told) => told?.replace(/\d{4,}/, (number) => Number(number).toLocaleString(locale()));

function picture(product, name) {
	const image = element("img", { loading: "lazy", decoding: "async", draggable: "false" });
	const box = element("span", { class: "plate-picture" }, worded(image, { alt: "pictureOf" }, product.caption || name));
	const miss = () => box.replaceChildren(span("noPicture"));
	image.addEventListener("error", miss);
	image.addEventListener("load", () => {
		box.classList.add("is-shown");
		URL.revokeObjectURL(image.src);
	});
	pictureSource(`${product.image_url}?width=512`).then((source) => (image.src = source), miss);
	return box;
}

// A link sends no headers: a key goes in the path.
const ownPage = (path) => path && keyFolder() + path.slice(1);

// Not a feed's `javascript:`.
function webAddress(address) {
	if (!address || !URL.canParse(address, document.baseURI)) return null;
	const { protocol, href } = new URL(address, document.baseURI);
	return protocol === "https:" || protocol === "http:" ? href : null;
}
