/*
 * What has been said, and how it is told to the server. A turn: the user's `{text, pictures: [{name, url, width, height}]}`,
 * or `like`, an item's id; the reply's `{content, products}`, with the `filters` that narrowed it and what was `unmet`; its
 * `state` ("open", "done", "stopped" or "failed"), and a `note` on how it ended (`[key of words.js, value]`, or null).
 */

// Small models forget.
const RECENT_TURNS = 12;
const RECENT_PICTURES = 8;
// The server takes 1,024.
const MOST_SEEN = 1000;

export class Conversation {
	constructor({ id = `${Date.now()}-${Math.random()}`, turns = [], hidden = [] } = {}) {
		Object.assign(this, { id, turns, hidden });
	}

	// The latest turn with filters: they hold until a later one has others.
	get narrowed() {
		return this.turns.findLast(({ filters }) => filters);
	}

	get seen() {
		return [...this.hidden, ...this.turns.flatMap(({ products }) => products.map(({ id }) => id))].slice(-MOST_SEEN);
	}

	open(text, pictures, like) {
		const turn = this.reopen({ text, pictures, like });
		this.turns.push(turn);
		return turn;
	}

	// Forgets the reply of `turn`, so that it can be asked again.
	reopen(turn) {
		return Object.assign(turn, { content: "", products: [], filters: null, unmet: null, state: "open", note: null });
	}

	// Asks for a reply to the last turn, with at most `earlier` turns before it; those that got no reply are left out.
	request(options, earlier = RECENT_TURNS) {
		const last = this.turns.at(-1);
		const answered = this.turns.filter((turn) => turn !== last && hasReply(turn));
		const told = earlier ? recent(answered.slice(-earlier), RECENT_PICTURES - last.pictures.length) : [];
		const messages = told.flatMap((turn) => [userMessage(turn), assistantMessage(turn)]);
		return { ...options, messages: [...messages, userMessage(last)] };
	}
}

function hasReply({ state, content, products }) {
	return state !== "failed" && (content.trim() || products.length);
}

function recent(turns, picturesLeft) {
	const told = [];
	for (const turn of turns.toReversed()) {
		picturesLeft -= turn.pictures.length;
		if (picturesLeft < 0) break;
		told.unshift(turn);
	}
	return told;
}

function userMessage({ text, pictures }) {
	if (!pictures.length) return { role: "user", content: text };
	const shown = pictures.map(({ url }) => ({ type: "image_url", image_url: { url } }));
	const said = text ? [{ type: "text", text }] : [];
	return { role: "user", content: [...shown, ...said] };
}

// Products go back, so that the next reply shows others and the model sees where it asked; filters, to hold on.
function assistantMessage({ content, products, filters }) {
	const message = { role: "assistant", content, ...(filters && { filters }) };
	if (products.length) message.products = products.map(({ id, offset }) => ({ id, offset }));
	return message;
}

// The index in a string of the server's offset, which counts code points.
export function codeUnitIndex(text, offset) {
	return [...text].slice(0, offset).join("").length;
}
