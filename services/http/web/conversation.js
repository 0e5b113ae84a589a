/**
 * What has been said, and how it is told to the server. Pure values: no page, no network.
 *
 * A turn is `{text, pictures: [{name, url, width, height}], content, products: [{id, offset}], state}`;
 * `text` and `pictures` are the user's, `content` and `products` the reply's,
 * `state` is "open" (being answered), "done", "stopped" or "failed".
 */

/** How much of what was said is told again: small models forget, and the server bounds a request. */
const RECENT_TURNS = 12;
const RECENT_PICTURES = 8;

export class Conversation {
  turns = [];

  /** Adds and returns the turn that a question opens. */
  open(text, pictures) {
    const turn = { text, pictures, content: "", products: [], state: "open" };
    this.turns.push(turn);
    return turn;
  }

  /** Forgets the reply of `turn`, so that it can be asked again. */
  reopen(turn) {
    Object.assign(turn, { content: "", products: [], state: "open" });
  }

  /**
   * The request for a reply to the last turn, with at most `earlier` turns before it. Turns that got no reply are left
   * out: nobody answered them.
   */
  request({ model, retrieval, earlier = RECENT_TURNS }) {
    const last = this.turns.at(-1);
    const answered = this.turns.filter((turn) => turn !== last && hasReply(turn));
    const told = earlier ? recent(answered.slice(-earlier), RECENT_PICTURES - last.pictures.length) : [];
    const messages = told.flatMap((turn) => [userMessage(turn), assistantMessage(turn)]);
    return { model, retrieval, messages: [...messages, userMessage(last)] };
  }
}

function hasReply(turn) {
  return turn.state !== "failed" && (turn.content.trim() !== "" || turn.products.length > 0);
}

/** The latest turns, as far back as they are few and their pictures too. */
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

/** Products go back as ids and offsets, so that the next reply shows others and the model sees where it asked. */
function assistantMessage({ content, products }) {
  const message = { role: "assistant", content };
  if (products.length) message.products = products.map(({ id, offset }) => ({ id, offset }));
  return message;
}

/** The index in a JavaScript string of the server's offset, which counts whole characters (code points). */
export function codeUnitIndex(text, offset) {
  let index = 0;
  for (let seen = 0; seen < offset && index < text.length; seen += 1) {
    index += text.codePointAt(index) > 0xffff ? 2 : 1;
  }
  return index;
}
