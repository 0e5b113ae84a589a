/** The page: joins the composer, the conversation, the transcript and the server. */

import { NO_KEY, TOO_LONG, isReady, meetServer, persist, streamReply } from "./api.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { copyText, element } from "./dom.js";
import { keyForm } from "./key.js";
import { forgetChat, keepChat, recallChat } from "./memory.js";
import { followTheme } from "./theme.js";
import { TurnView } from "./transcript.js";
import { fillIn, locale, say, switchLanguage, worded } from "./words.js";

/** The first answer is the likeliest one; another has to be drawn. */
const ANOTHER = { temperature: 0.8 };

const byId = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let conversation = new Conversation(recallChat());
let view = null;
let running = null;

const composer = new Composer({ onAsk: ask, onStop: () => running?.abort() });

function ask(text, pictures) {
  if (running) return;
  const turn = conversation.open(text, pictures);
  addView(turn);
  answer(turn, view);
  view.element.scrollIntoView({ block: "start", behavior: calm.matches ? "auto" : "smooth" });
}

function addView(turn) {
  view?.passOver();
  view = new TurnView(turn, { onAgain: askAgain, onCopy: copy });
  document.body.dataset.view = "story";
  byId("story").append(view.element);
}

function askAgain(turn, turnView) {
  if (running) return;
  const drawn = turn.state === "failed" ? {} : ANOTHER;
  conversation.reopen(turn);
  answer(turn, turnView, drawn);
  composer.focus();
}

async function answer(turn, turnView, drawn = {}) {
  const abort = new AbortController();
  running = abort;
  composer.setBusy(true);
  announce(say("writing"));
  keepChat(conversation);
  let code = null;
  try {
    turn.note = noteOn(turn, await receive(turn, turnView, drawn, abort.signal));
    turn.state = "done";
  } catch (error) {
    const { aborted } = abort.signal;
    if (!aborted && !error.note) console.error(error);
    code = error.code;
    turn.state = aborted ? "stopped" : "failed";
    turn.note = aborted ? ["stopped"] : (error.note ?? ["unexpected"]);
  }
  // A new chat was begun meanwhile: this reply is no longer on the page.
  if (running !== abort) return;
  running = null;
  composer.setBusy(false);
  keepChat(conversation);
  if (code === NO_KEY) return turnView.ask(keyForm(() => useKey(turn)));
  turnView.endReply();
  if (turn.state !== "failed") announce(turn.state === "done" ? spoken(turn) : say("stopped"));
}

function useKey(turn) {
  showAll();
  askAgain(turn, view);
}

/** Asks with as many earlier turns as the model reads, once the server is there; returns why the reply ended. */
async function receive(turn, turnView, drawn, signal) {
  const options = { model: "default", retrieval: composer.retrieval, ...drawn };
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

async function wait(turnView, signal) {
  signal.throwIfAborted();
  turnView.wait("waits");
  announce(say("waits"));
  await persist(isReady, signal);
}

async function write(request, turn, reply, signal) {
  let ended = "stop";
  for await (const { text, products, reason } of streamReply(request, { signal })) {
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

/** The reply for a screen reader, told when it is complete: a stream read word by word can't be followed. */
function spoken({ content, products }) {
  const names = products.map(({ caption }) => caption).join(", ");
  const shown = products.length ? ` ${say("shown", products.length)}: ${names}.` : "";
  return `${content.replaceAll("**", "")}${shown}`;
}

function announce(words) {
  byId("announcer").textContent = words;
}

async function copy({ content }, button) {
  const words = (await copyText(content)) ? "copied" : "notCopied";
  worded(button, { text: words });
  announce(say(words));
  setTimeout(() => worded(button, { text: "copy" }), 2000);
}

function showAll() {
  byId("story").replaceChildren();
  for (const turn of conversation.turns) {
    addView(turn);
    view.restore();
  }
}

function startNewChat() {
  running?.abort();
  running = null;
  forgetChat(conversation.id);
  conversation = new Conversation();
  view = null;
  byId("story").replaceChildren();
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
}

async function greet() {
  let health = null;
  fillMasthead(health);
  byId("language").addEventListener("click", () => {
    switchLanguage();
    announce("");
    fillMasthead(health);
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

function starter(number) {
  const words = worded(element("span"), { text: `starter${number}` });
  const button = element("button", { type: "button" }, words);
  button.addEventListener("click", () => {
    ask(words.textContent, []);
    composer.focus();
  });
  return element("li", {}, button);
}

byId("new-chat").addEventListener("click", startNewChat);
byId("starters").append(...[1, 2, 3, 4, 5].map(starter));
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
