/**
 * The page's way to the server: health, and a reply streamed as server-sent events.
 * Knows HTTP and the wire format; knows nothing of the page.
 */

const UNREACHABLE = "The chat can’t be reached. Check that it is running, then try again.";
const CUT_OFF = "The connection ended before the reply did.";
const UNREADABLE = "The reply came in a form that this page can’t read.";

/** The code by which the server says that a conversation is longer than the model can read. */
export const TOO_LONG = "context_length_exceeded";

/** Something went wrong on the way to a reply; the message is meant for the reader of the page, `code` is the server's. */
export class ChatError extends Error {
  constructor(message, code = null) {
    super(message);
    this.code = code;
  }
}

/** What the server says of itself: `{bundle, items, attribution, ...}`, or `{}` while it can't be reached. */
export async function fetchHealth() {
  try {
    const response = await fetch("healthz", { headers: { accept: "application/json" } });
    return response.ok ? await response.json() : {};
  } catch {
    return {};
  }
}

/**
 * Sends a chat request and yields the reply's events in order:
 * `{type: "text", text}`, `{type: "products", products}`, `{type: "finish", reason}`.
 * Throws ChatError when the reply fails, and the fetch's own AbortError when `signal` is aborted.
 */
export async function* streamReply(request, { signal }) {
  const response = await post(request, signal);
  let finished = false;
  for await (const data of serverSentData(response.body, signal)) {
    if (data === "[DONE]") return;
    for (const event of chunkEvents(parseChunk(data))) {
      finished ||= event.type === "finish";
      yield event;
    }
  }
  if (!finished) throw new ChatError(CUT_OFF);
}

async function post(request, signal) {
  let response;
  try {
    response = await fetch("v1/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify({ ...request, stream: true }),
      signal,
    });
  } catch (error) {
    throw signal.aborted ? error : new ChatError(UNREACHABLE);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  try {
    const { error } = await response.json();
    if (error?.message) return new ChatError(error.message, error.code);
  } catch {
    // A proxy in between may answer in HTML; its status is all that can be told.
  }
  if (response.status === 503) return new ChatError("The chat is busy just now. Try again in a moment.");
  return new ChatError(`The chat answered with an error (${response.status}).`);
}

/** Yields the `data` of each server-sent event in a byte stream, whatever the chunks' borders and line endings. */
export async function* serverSentData(body, signal) {
  const decoder = new TextDecoder();
  let buffered = "";
  let data = [];
  for await (const bytes of chunks(body, signal)) {
    buffered += decoder.decode(bytes, { stream: true });
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
    throw signal?.aborted ? error : new ChatError(CUT_OFF);
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parseChunk(data) {
  let chunk;
  try {
    chunk = JSON.parse(data);
  } catch {
    throw new ChatError(UNREADABLE);
  }
  if (chunk.error) throw new ChatError(chunk.error.message ?? CUT_OFF, chunk.error.code);
  return chunk;
}

function* chunkEvents(chunk) {
  const choice = chunk.choices?.[0];
  if (choice?.delta?.content) yield { type: "text", text: choice.delta.content };
  if (choice?.delta?.products?.length) yield { type: "products", products: choice.delta.products };
  if (choice?.finish_reason) yield { type: "finish", reason: choice.finish_reason };
}
