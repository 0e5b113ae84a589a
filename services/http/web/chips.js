// Filters, as the server writes them, on chips that a reader can take away.

import { element } from "./dom.js";
import { locale, remover, say } from "./words.js";

// Values of these say by themselves what they are.
const PLAIN = /brand|price|colou?r|material|pattern|^(kind|section|category|type)$/i;

export function labelOf(column, asked, currency = "") {
	const name = column.split(".").pop();
	const of = (words) => (PLAIN.test(name) ? words : `${name} ${words}`);
	if (asked?.not !== undefined) return say("not", of(listed(asked.not)));
	if (Array.isArray(asked) || typeof asked !== "object") return of(listed(asked));
	const amount = (number) => `${number.toLocaleString(locale())} ${currency}`.trim();
	return of(Object.entries(asked ?? {}).map(([bound, number]) => say(bound, amount(number))).join(" "));
}

const listed = (values) => [values].flat().join(" / ");

// `onRemove` is called with the filters that are left.
export function showChips(list, filters, currency, onRemove) {
	const chips = Object.entries(filters ?? {}).map(([column, asked]) => {
		const label = labelOf(column, asked, currency);
		const { [column]: _, ...left } = filters;
		return element("li", {}, label, remover(() => onRemove(left), label));
	});
	list.replaceChildren(...chips);
	list.hidden = !chips.length;
}
