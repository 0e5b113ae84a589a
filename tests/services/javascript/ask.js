// OpenAI's client as npm has it, against the server at BASE_URL: the same questions whole and streamed, told as JSON.

import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "unused", maxRetries: 0, timeout: 120_000 });
const request = (content, retrieval) => ({
  model: "default",
  messages: [{ role: "user", content }],
  max_completion_tokens: 24,
  retrieval,
});
const wish = request("Show me something to wear on my head.", "always");
const question = request("What should I wear to a summer wedding?", "never");

// Not the score, whose last digits depend on what is decoded beside a reply.
const shown = (products) => products.map(({ id, offset }) => ({ id, offset }));

async function streamed(body) {
  const reply = { content: "", products: [], pieces: 0 };
  const stream = await client.chat.completions.create({ ...body, stream: true, stream_options: { include_usage: true } });
  for await (const { choices, usage } of stream) {
    reply.usage = usage ?? reply.usage;
    for (const { delta, finish_reason } of choices) {
      reply.content += delta.content ?? "";
      reply.products.push(...shown(delta.products ?? []));
      reply.pieces += delta.content ? 1 : 0;
      reply.finish_reason = finish_reason;
    }
  }
  return reply;
}

async function whole(body) {
  const { choices, usage } = await client.chat.completions.create(body);
  const [{ message, finish_reason }] = choices;
  return { content: message.content, products: shown(message.products), finish_reason, usage };
}

const refusal = await client.chat.completions.create({ ...question, model: "gpt-5" }).catch((error) => error);

console.log(
  JSON.stringify({
    models: (await client.models.list()).data.map(({ id }) => id),
    wish: { whole: await whole(wish), streamed: await streamed(wish) },
    question: { whole: await whole(question), streamed: await streamed(question) },
    helper: await client.chat.completions.stream(question).finalContent(),
    refusal: { kind: refusal.constructor.name, status: refusal.status, code: refusal.code },
  }),
);
