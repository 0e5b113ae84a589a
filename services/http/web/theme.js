// As the system has it, until the reader switches.

import { keep, recall } from "./store.js";

const PAPER = { light: "#faf8f4", dark: "#131210" };
const system = matchMedia("(prefers-color-scheme: dark)");
const systemTheme = () => (system.matches ? "dark" : "light");
const theme = () => (Object.hasOwn(PAPER, recall("theme")) ? recall("theme") : systemTheme());

export function followTheme(button) {
	const show = (shown) => {
		document.documentElement.dataset.theme = shown;
		document.querySelector("meta[name=theme-color]").content = PAPER[shown];
		button.setAttribute("aria-pressed", String(shown === "dark"));
	};
	button.addEventListener("click", () => {
		const chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
		keep("theme", chosen === systemTheme() ? null : chosen);
		show(chosen);
	});
	system.addEventListener("change", () => show(theme()));
	show(theme());
}
