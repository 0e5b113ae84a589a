/** The page: joins the composer, the conversation, the transcript and the server. */

import { ChatError, TOO_LONG, fetchHealth, streamReply } from "./api.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { TurnView } from "./transcript.js";

const CUT_SHORT = "The reply reached its length limit here.";
const STOPPED = "Stopped.";
const NOTHING_SAID = "No answer came this time. Try other words.";
const UNEXPECTED = "Something went wrong on this page. Try again.";

const byId = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let health = {};
let conversation = new Conversation();
let view = null;
let running = null;

const composerParts = {
  form: byId("composer"),
  ...Object.fromEntries(
    ["question", "ask", "stop", "attach", "picture", "attachments", "notice", "modes", "drop"].map((id) => [id, byId(id)]),
  ),
};
const composer = new Composer(composerParts, { onAsk: ask, onStop: () => running?.abort() });

function ask(text, pictures) {
  if (running) return;
  view?.retireRetry();
  const turn = conversation.open(text, pictures);
  view = new TurnView(turn);
  showStory();
  byId("story").append(view.element);
  answer(turn, view);
  view.element.scrollIntoView({ block: "start", behavior: calm.matches ? "auto" : "smooth" });
}

async function answer(turn, turnView) {
  const abort = new AbortController();
  running = abort;
  composer.setBusy(true);
  announce("Writing a reply.");
  const reply = turnView.startReply();
  try {
    const reason = await receive(turn, reply, abort.signal);
    turn.state = "done";
    turnView.endReply("done", remarkOn(turn, reason));
    announce(spoken(turn));
  } catch (error) {
    // A new chat was begun meanwhile: this reply is no longer on the page.
    if (running !== abort) return;
    if (abort.signal.aborted) stopped(turn, turnView);
    else failed(turn, turnView, error);
  } finally {
    if (running === abort) {
      running = null;
      composer.setBusy(false);
    }
  }
}

/** Asks with as many earlier turns as the model can read; returns why the reply ended. */
async function receive(turn, reply, signal) {
  const asked = { model: health.bundle ?? "default", retrieval: composer.retrieval };
  let request = conversation.request(asked);
  for (;;) {
    try {
      return await write(request, turn, reply, signal);
    } catch (error) {
      const earlier = (request.messages.length - 1) / 2;
      if (error.code !== TOO_LONG || !earlier) throw error;
      request = conversation.request({ ...asked, earlier: Math.floor(earlier / 2) });
    }
  }
}

/** Writes the reply's events to the turn and to the page; returns why the reply ended. */
async function write(request, turn, reply, signal) {
  let reason = "stop";
  for await (const event of streamReply(request, { signal })) {
    if (event.type === "text") {
      turn.content += event.text;
      reply.addText(event.text);
    } else if (event.type === "products") {
      turn.products.push(...event.products);
      reply.addProducts(event.products);
    } else {
      reason = event.reason;
    }
  }
  return reason;
}

function remarkOn(turn, reason) {
  if (!turn.content.trim() && !turn.products.length) return NOTHING_SAID;
  return reason === "length" ? CUT_SHORT : "";
}

function stopped(turn, turnView) {
  turn.state = "stopped";
  turnView.endReply("stopped", STOPPED);
  announce(STOPPED);
}

function failed(turn, turnView, error) {
  turn.state = "failed";
  if (!(error instanceof ChatError)) console.error(error);
  turnView.failReply(error instanceof ChatError ? error.message : UNEXPECTED, () => {
    if (running) return;
    conversation.reopen(turn);
    answer(turn, turnView);
    composer.focus();
  });
}

/** The reply for a screen reader, at once when it is complete: a stream read word by word can't be followed. */
function spoken({ content, products }) {
  const names = products.map(({ caption }) => caption).join(", ");
  const shown = products.length ? ` ${products.length} pieces: ${names}.` : "";
  return `${content.replaceAll("**", "")}${shown}`;
}

function announce(words) {
  byId("announcer").textContent = words;
}

function showStory() {
  document.body.dataset.view = "story";
  byId("cover").hidden = true;
  byId("story").hidden = false;
}

function startNewChat() {
  running?.abort();
  running = null;
  conversation = new Conversation();
  view = null;
  byId("story").replaceChildren();
  byId("story").hidden = true;
  byId("cover").hidden = false;
  document.body.dataset.view = "cover";
  composer.setBusy(false);
  composer.clear();
  announce("New chat.");
  scrollTo({ top: 0 });
  composer.focus();
}

function fillMasthead() {
  const today = new Date();
  byId("date").textContent = today.toLocaleDateString("en-GB", { weekday: "long", day: "numeric", month: "long" });
  if (health.items) byId("items").textContent = `${health.items.toLocaleString("en")} pieces in this issue`;
  byId("attribution").textContent = health.attribution ?? "";
  byId("colophon").hidden = !health.attribution;
}

byId("new-chat").addEventListener("click", startNewChat);
byId("starters").addEventListener("click", (event) => {
  const starter = event.target.closest("button");
  if (!starter) return;
  ask(starter.textContent.trim(), []);
  composer.focus();
});
fillMasthead();
if (matchMedia("(pointer: fine)").matches) composer.focus();
health = await fetchHealth();
fillMasthead();
