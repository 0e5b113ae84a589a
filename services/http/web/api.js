// The page's way to the server. Where no answer comes, these throw ChatError.

import { authorization } from "./key.js";

const PATIENCE_MS = 5_000;
const PAUSE_MS = 1_500;

export const TOO_LONG = "context_length_exceeded";
export const NO_KEY = "invalid_api_key";

// `note` is for the reader, as `[key of words.js, value]`; `away`: the server may not be there.
export class ChatError extends Error {
	constructor(note, { code = null, away = false } = {}) {
		super(note.join(": "));
		Object.assign(this, { note, code, away });
	}
}

// Whether a chat would be answered.
export const isReady = async () => Boolean(await look("readyz"));

export const meetServer = async () => (await isReady()) && look("healthz");

export async function persist(attempt, signal) {
	for (;;) {
		await new Promise((resolve) => {
			setTimeout(resolve, PAUSE_MS);
			signal?.addEventListener("abort", resolve);
		});
		signal?.throwIfAborted();
		const found = await attempt();
		if (found) return found;
	}
}

// An image element sends no headers: with a key its picture is fetched here.
export async function pictureSource(address) {
	const headers = authorization();
	if (!headers.authorization || new URL(address, document.baseURI).origin !== location.origin) return address;
	const response = await fetch(address, { headers });
	if (!response.ok) throw new ChatError(["status", response.status]);
	return URL.createObjectURL(await response.blob());
}

// Items that a search finds, as products.
export async function search(request, signal) {
	const { data } = await (await post("v1/search", request, signal)).json();
	return data.map(({ item: { attributes, ...item } }) => ({ ...item, offset: 0 }));
}

// Yields each piece of a reply; `reason` is why it ended.
export async function* streamReply(request, signal) {
	const response = await post("v1/chat/completions", { ...request, stream: true }, signal);
	let finished = false;
	for await (const data of serverSentData(response.body, signal)) {
		if (data === "[DONE]") return;
		const { delta, finish_reason: reason } = parseChunk(data).choices?.[0] ?? {};
		finished ||= Boolean(reason);
		const { content: text = "", products = [], filters, unmet_filters: unmet } = delta ?? {};
		yield { text, products, narrowed: filters && { filters, unmet }, reason };
	}
	if (!finished) throw new ChatError(["cutOff"]);
}

async function look(address) {
	try {
		const response = await fetch(address, { signal: AbortSignal.timeout(PATIENCE_MS) });
		return response.ok ? await response.json() : null;
	} catch {
		return null;
	}
}

async function post(address, request, signal) {
	let response;
	try {
		response = await fetch(address, {
			method: "POST",
			headers: { "content-type": "application/json", accept: "text/event-stream", ...authorization() },
			body: JSON.stringify(request),
			signal,
		});
	} catch (error) {
		throw signal?.aborted ? error : new ChatError(["cutOff"], { away: true });
	}
	if (!response.ok) throw await refusal(response);
	return response;
}

async function refusal(response) {
	const { status } = response;
	try {
		const { error } = await response.json();
		if (error?.message) return told(error, status === 503);
	} catch {
		// A proxy in HTML.
	}
	// Ray's proxy answers 404 where no app is deployed yet, a gateway 502 to 504.
	const away = status === 404 || (status >= 502 && status <= 504);
	return new ChatError(["status", status], { away });
}

// The `data` of each event, wherever the network cuts.
async function* serverSentData(body, signal) {
	let buffered = "";
	let data = [];
	for await (const text of chunks(body.pipeThrough(new TextDecoderStream()), signal)) {
		buffered += text;
		const lines = buffered.split(/\r\n|\n|\r(?!$)/);
		buffered = lines.pop();
		for (const line of lines) {
			if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
			else if (line === "" && data.length) yield data.splice(0).join("\n");
		}
	}
}

async function* chunks(body, signal) {
	const reader = body.getReader();
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return;
			yield value;
		}
	} catch (error) {
		throw signal?.aborted ? error : new ChatError(["cutOff"]);
	} finally {
		reader.cancel().catch(() => {});
	}
}

function parseChunk(data) {
	let chunk;
	try {
		chunk = JSON.parse(data);
	} catch {
		throw new ChatError(["unreadable"]);
	}
	if (chunk.error) throw told(chunk.error);
	return chunk;
}

// The server's own words, unless the reader's language has some for its code.
function told({ message, code }, away = false) {
	return new ChatError(message ? [`error.${code}`, message] : ["cutOff"], { code, away });
}
