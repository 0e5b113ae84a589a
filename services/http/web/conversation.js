/**
 * What has been said, and how it is told to the server. A turn is the user's `{text, pictures: [{name, url, width,
 * height}]}`, the reply's `{content, products}`, its `state` ("open", "done", "stopped" or "failed"), and a `note` on how
 * it ended (`[key of words.js, value]`, or null).
 */

/** Small models forget. */
const RECENT_TURNS = 12;
const RECENT_PICTURES = 8;

export class Conversation {
  constructor({ id = `${Date.now()}-${Math.random()}`, turns = [] } = {}) {
    Object.assign(this, { id, turns });
  }

  open(text, pictures) {
    const turn = this.reopen({ text, pictures });
    this.turns.push(turn);
    return turn;
  }

  /** Forgets the reply of `turn`, so that it can be asked again. */
  reopen(turn) {
    return Object.assign(turn, { content: "", products: [], state: "open", note: null });
  }

  /** Asks for a reply to the last turn, with at most `earlier` turns before it; those that got no reply are left out. */
  request(options, earlier = RECENT_TURNS) {
    const last = this.turns.at(-1);
    const answered = this.turns.filter((turn) => turn !== last && hasReply(turn));
    const told = earlier ? recent(answered.slice(-earlier), RECENT_PICTURES - last.pictures.length) : [];
    const messages = told.flatMap((turn) => [userMessage(turn), assistantMessage(turn)]);
    return { ...options, messages: [...messages, userMessage(last)] };
  }
}

function hasReply(turn) {
  return turn.state !== "failed" && (turn.content.trim() !== "" || turn.products.length > 0);
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

/** Products go back, so that the next reply shows others and the model sees where it asked. */
function assistantMessage({ content, products }) {
  const message = { role: "assistant", content };
  if (products.length) message.products = products.map(({ id, offset }) => ({ id, offset }));
  return message;
}

/** The index in a string of the server's offset, which counts code points. */
export function codeUnitIndex(text, offset) {
  return [...text].slice(0, offset).join("").length;
}
