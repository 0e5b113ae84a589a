// The conversation across reloads. A new tab goes on with a copy of the latest.

import { keep, recall } from "./store.js";

const MOST_TURNS = 100;
// In characters, tried in turn: browsers give different room.
const ROOMS = [2_000_000, 500_000, 50_000];

// A reply that was being written then was stopped by it.
export function recallChat() {
	const chat = recall("chat", true) ?? recall("chat");
	if (!Array.isArray(chat?.turns)) return {};
	for (const turn of chat.turns) {
		if (turn?.state === "open") Object.assign(turn, { state: "stopped", note: ["stopped"] });
	}
	return chat;
}

export function keepChat({ id, turns, hidden }) {
	for (const ofTab of [true, false]) {
		const fits = ROOMS.some((room) => keep("chat", { id, hidden, turns: bounded(turns, room) }, ofTab));
		if (!fits) keep("chat", null, ofTab);
	}
}

export function forgetChat(id) {
	keep("chat", { turns: [] }, true);
	if (recall("chat")?.id === id) keep("chat", null);
}

// The latest turns that fit; one that does not is tried without its pictures.
function bounded(turns, room) {
	const kept = [];
	for (const turn of turns.slice(-MOST_TURNS).toReversed()) {
		const form = [turn, { ...turn, pictures: [] }].find((form) => JSON.stringify(form).length <= room);
		if (!form) break;
		room -= JSON.stringify(form).length;
		kept.unshift(form);
	}
	return kept;
}
