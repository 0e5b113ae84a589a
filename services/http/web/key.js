// The key that a server may ask for.

import { element } from "./dom.js";
import { keep, recall } from "./store.js";
import { span, worded } from "./words.js";

let key = recall("key", true) ?? recall("key");

export function authorization() {
	return key ? { authorization: `Bearer ${key}` } : {};
}

export const keyFolder = () => (key ? `k/${encodeURIComponent(key)}/` : "");

export function keyForm(onKey) {
	// What a header can carry.
	const input = element("input", { type: "password", id: "key", required: true, pattern: "[!-~]+", autocomplete: "off" });
	const kept = element("input", { type: "checkbox" });
	const form = element(
		"form",
		{ class: "key" },
		worded(element("p", { role: "alert" }), { text: key ? "keyWrong" : "keyAsked" }),
		worded(element("label", { for: "key" }), { text: "key" }),
		input,
		element("label", { class: "kept" }, kept, span("keyKept")),
		worded(element("button", { class: "action" }), { text: "keyUse" }),
	);
	form.addEventListener("submit", (event) => {
		event.preventDefault();
		key = input.value;
		keep("key", key, true);
		keep("key", kept.checked ? key : null);
		onKey();
	});
	return form;
}
