// The page: joins the composer, the conversation, the transcript and the server.

import { NO_KEY, TOO_LONG, isReady, meetServer, persist, search, streamReply } from "./api.js";
import { showChips } from "./chips.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { element } from "./dom.js";
import { keyForm } from "./key.js";
import { forgetChat, keepChat, recallChat } from "./memory.js";
import { nameOf, plate } from "./products.js";
import { followTheme } from "./theme.js";
import { TurnView } from "./transcript.js";
import { button, fillIn, locale, say, switchLanguage, worded } from "./words.js";

// The first answer is the likeliest one; another has to be drawn.
const ANOTHER = { temperature: 0.8 };

const byId = (id) => document.getElementById(id);
const story = byId("story");

let conversation = new Conversation(recallChat());
let view = null;
let running = null;

const composer = new Composer({ onAsk: ask, onStop: () => running?.abort() });

function ask(text, pictures = [], like) {
	if (running) return;
	const turn = conversation.open(text, pictures, like);
	addView(turn);
	answer(turn, view);
	view.element.scrollIntoView();
}

function addView(turn) {
	view?.passOver();
	view = new TurnView(turn, { onAgain: askAgain, onCopy: copy });
	document.body.dataset.view = "story";
	story.append(view.element);
}

function askAgain(turn, turnView, how = turn.state === "failed" ? {} : ANOTHER) {
	if (running) return;
	conversation.reopen(turn);
	answer(turn, turnView, how);
	composer.focus();
}

// `how`: fields of the request, and the `filters` that alone are to hold, where the reader chose them.
async function answer(turn, turnView, how = {}) {
	const abort = new AbortController();
	running = abort;
	composer.setBusy(true);
	announce(say("writing"));
	keepChat(conversation);
	let code = null;
	try {
		turn.note = noteOn(turn, await (turn.like ? findLike : receive)(turn, turnView, how, abort.signal));
		turn.state = "done";
	} catch (error) {
		const { aborted } = abort.signal;
		if (!aborted && !error.note) console.error(error);
		code = error.code;
		turn.state = aborted ? "stopped" : "failed";
		turn.note = aborted ? ["stopped"] : (error.note ?? ["unexpected"]);
	}
	// A new chat was begun meanwhile.
	if (running !== abort) return;
	running = null;
	composer.setBusy(false);
	keepChat(conversation);
	showFilters();
	if (code === NO_KEY) return turnView.ask(keyForm(() => (showAll(), askAgain(turn, view))));
	turnView.endReply();
	if (turn.state !== "failed") announce(turn.state === "done" ? spoken(turn) : say("stopped"));
}

// With as many earlier turns as the model reads, once the server is there; returns why the reply ended.
async function receive(turn, turnView, { filters, ...drawn }, signal) {
	const chosen = filters ? { mode: "always", parse: false, filters } : { mode: composer.retrieval };
	const options = { model: "default", retrieval: { ...chosen, exclude_ids: conversation.hidden }, ...drawn };
	let request = conversation.request(options);
	for (;;) {
		try {
			return await write(request, turn, turnView.startReply(), signal);
		} catch (error) {
			const earlier = (request.messages.length - 1) / 2;
			if (error.code === TOO_LONG && earlier) request = conversation.request(options, Math.floor(earlier / 2));
			else if (error.away && !(await isReady())) await wait(turnView, signal);
			else throw error;
		}
	}
}

async function findLike(turn, turnView, { filters = conversation.narrowed?.filters ?? {} }, signal) {
	const reply = turnView.startReply();
	const asked = { item_id: turn.like, top_k: 5, exclude_ids: conversation.seen };
	turn.products = await search({ ...asked, filters }, signal);
	turn.filters = filters;
	if (!turn.products.length) {
		turn.products = await search(asked, signal);
		Object.assign(turn, { filters: {}, unmet: filters });
	}
	reply.addProducts(turn.products);
}

// Takes a card away for good. Another like those beside it takes its place.
async function hide(turn, card) {
	const { id } = card.dataset;
	const place = turn.products.findIndex((product) => product.id === id);
	const [{ offset }] = turn.products.splice(place, 1);
	conversation.hidden.push(id);
	const like = turn.products[0]?.id;
	const asked = { item_id: like, top_k: 1, exclude_ids: conversation.seen, filters: turn.filters };
	const [next] = like ? await search(asked).catch(() => []) : [];
	if (next) {
		const other = plate(next);
		turn.products.splice(place, 0, { ...next, offset });
		card.replaceWith(other);
		other.querySelector("[data-act=hide]").focus();
	} else {
		card.remove();
		composer.focus();
	}
	announce(next ? say("instead", nameOf(next)) : say("gone"));
	keepChat(conversation);
}

function showFilters() {
	const turn = conversation.narrowed;
	const currency = turn?.products.find(({ price }) => price)?.price.replace(/[\d.,\s]/g, "");
	showChips(byId("filters"), turn?.filters, currency, (filters) => {
		if (running) return;
		if (turn === conversation.turns.at(-1)) return askAgain(turn, view, { filters });
		turn.filters = filters;
		keepChat(conversation);
		showFilters();
		composer.focus();
	});
}

async function wait(turnView, signal) {
	signal.throwIfAborted();
	turnView.wait("waits");
	announce(say("waits"));
	await persist(isReady, signal);
}

async function write(request, turn, reply, signal) {
	let ended = "stop";
	for await (const { text, products, narrowed, reason } of streamReply(request, signal)) {
		Object.assign(turn, narrowed);
		turn.content += text;
		turn.products.push(...products);
		if (text) reply.addText(text);
		if (products.length) reply.addProducts(products);
		ended = reason ?? ended;
	}
	return ended;
}

function noteOn(turn, reason) {
	if (!turn.content.trim() && !turn.products.length) return ["nothing"];
	return reason === "length" ? ["cutShort"] : null;
}

// For a screen reader, when it is complete: a stream read word by word can't be followed.
function spoken({ content, products }) {
	const shown = products.length ? ` ${say("shown", products.length)}: ${products.map(nameOf).join(", ")}.` : "";
	return `${content.replaceAll("**", "")}${shown}`;
}

function announce(words) {
	byId("announcer").textContent = words;
}

async function copy({ content }, node) {
	// Without TLS there is no clipboard.
	const copied = await navigator.clipboard?.writeText(content).then(() => "copied", () => {});
	const words = copied ?? "notCopied";
	worded(node, { text: words });
	announce(say(words));
	setTimeout(() => worded(node, { text: "copy" }), 2000);
}

function showAll() {
	story.replaceChildren();
	for (const turn of conversation.turns) {
		addView(turn);
		view.restore();
	}
	showFilters();
}

function startNewChat() {
	running?.abort();
	running = null;
	forgetChat(conversation.id);
	conversation = new Conversation();
	view = null;
	showAll();
	document.body.dataset.view = "cover";
	composer.setBusy(false);
	composer.clear();
	announce(say("newChat"));
	scrollTo({ top: 0 });
	composer.focus();
}

function fillMasthead(health) {
	const day = { weekday: "long", day: "numeric", month: "long" };
	byId("date").textContent = new Date().toLocaleDateString(locale(), day);
	if (health?.items) worded(byId("items"), { text: "items" }, health.items.toLocaleString(locale()));
	byId("attribution").textContent = health?.attribution ?? "";
	byId("colophon").hidden = !health?.attribution;
	// Starters name what this catalogue has.
	const { price, brand } = health?.examples ?? {};
	if (price) worded(byId("starter2"), { text: "starterPrice" }, price);
	if (brand) worded(byId("starter3"), { text: "starterBrand" }, brand);
}

async function greet() {
	let health = null;
	fillMasthead(health);
	byId("language").addEventListener("click", () => {
		switchLanguage();
		announce("");
		fillMasthead(health);
		showFilters();
	});
	health = await meetServer();
	if (!health) {
		byId("starting").hidden = false;
		announce(say("starting"));
		health = await persist(meetServer);
		byId("starting").hidden = true;
	}
	fillMasthead(health);
}

// The last one asks for a picture.
function starter(number) {
	const id = `starter${number}`;
	const choose = ({ target }) => {
		if (number === 5) return composer.parts.attach.click();
		ask(target.textContent);
		composer.focus();
	};
	return element("li", {}, button({ text: id }, choose, "", { id }));
}

byId("new-chat").addEventListener("click", startNewChat);
byId("starters").append(...[1, 2, 3, 4, 5].map(starter));
story.addEventListener("click", ({ target }) => {
	const { act } = target.dataset;
	if (!act || running) return;
	const card = target.closest(".plate");
	const turn = conversation.turns[[...story.children].indexOf(card.closest(".turn"))];
	if (act === "hide") return hide(turn, card);
	const product = turn.products.find(({ id }) => id === card.dataset.id);
	ask(say("likeOne", nameOf(product)), [], product.id);
});
addEventListener("pagehide", () => {
	if (!running) return;
	keepChat(conversation);
	running.abort();
});
fillIn();
followTheme(byId("theme"));
try {
	showAll();
	view?.element.scrollIntoView();
} catch {
	// What was kept was no conversation of ours.
	startNewChat();
}
if (matchMedia("(pointer: fine)").matches) composer.focus();
greet();
