// Tokens per second of llama.cpp after it has read the prompts.
//   node llama_cpp.mjs MODEL.gguf PROMPT_TOKENS NEW_TOKENS THREADS SEQUENCES
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [modelPath, ...numbers] = process.argv.slice(2);
const [promptTokens, newTokens, threads, count] = numbers.map(Number);
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: threads});
const model = await llama.loadModel({modelPath});
const prompt = Array.from({length: promptTokens}, (_, i) => 100 + (i * 7919) % 40000);
const contextSize = promptTokens + newTokens + 8;
const context = await model.createContext({contextSize, sequences: count, threads, batchSize: 512});
const sequences = Array.from({length: count}, () => context.getSequence());
for (const sequence of sequences) await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(0, -1));
const start = performance.now();
await Promise.all(sequences.map(async (sequence) => {
  let written = 0;
  for await (const _ of sequence.evaluate(prompt.slice(-1), {temperature: 1, yieldEogToken: true}))
    if (++written >= newTokens) break;
}));
console.log(1000 * count * newTokens / (performance.now() - start));
process.exit(0);
