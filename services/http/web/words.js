// Every word of the page. `{}` is where a value stands.

import { element } from "./dom.js";
import { keep, recall } from "./store.js";

const LANGUAGES = ["en", "ko"];
// Key, English, Korean; what the server says of errors comes in English.
const TABLE = `
title|Fromage, a fashion magazine that answers|Fromage, 물으면 답하는 패션 매거진
skip|Skip to your question|질문 입력란으로 건너뛰기
dark|Dark theme|어두운 화면
other|한국어|English
otherTag|ko|en
newChat|New chat|새 대화
coverTitle|What are you dressing for?|어떤 날을 위한 옷인가요?
coverText|Name the occasion, the weather, a price, a brand; or show a picture. What fits comes from the catalogue.|자리나 날씨, 가격, 브랜드를 말하거나 사진을 보여 주세요. 어울리는 제품을 보여 드립니다.
starters|Questions to start with|이런 질문은 어떠세요?
starter1|A red dress for a wedding|결혼식에 입을 빨간 원피스
starter2|What shoes do I need for hiking?|등산할 때는 어떤 신발이 좋나요?
starterPrice|Something warm under {}|{} 이하의 따뜻한 옷
starter3|What should I wear to a ball?|연말 파티에는 뭘 입을까요?
starterBrand|What do you have from {}?|{} 제품을 보여 주세요
starter4|Shoes for a walk in the rain|비 오는 날 신을 신발
starter5|Find what looks like a picture|사진과 비슷한 제품 찾기
items|{} pieces in this issue|이번 호의 제품 {}점
story|Conversation|대화
composer|Your question|질문하기
question|What are you looking for?|무엇을 찾으세요?
ask|Ask|보내기
stop|Stop|중지
modes|Show pieces|제품 보기
auto|when it fits|필요할 때
always|always|항상
never|never|안 보기
addPicture|Add a picture|사진 추가
toSendAll|Pictures to send|보낼 사진
toSend|To send: {}|보낼 사진: {}
remove|Remove {}|{} 삭제
pasted|pasted picture|붙여넣은 사진
notAPicture|That file is not a picture that this browser can read.|이 브라우저에서 열 수 없는 사진 파일입니다.
tooMany|A question can carry {} pictures.|사진은 한 번에 {}장까지 보낼 수 있습니다.
sent|Picture that you sent: {}|보낸 사진: {}
onlyPicture|A picture|사진
pieces|Pieces from the catalogue|카탈로그 제품
unnamed|Unnamed piece|이름 없는 제품
pictureOf|Picture of {}|{} 사진
noPicture|No picture|사진 없음
opens|{} (opens in a new tab)|{} (새 탭에서 열림)
like|More like this|비슷한 제품
likeOne|More like this: {}|비슷한 제품: {}
hide|Not this|이건 빼기
hideOne|Not this: {}|이건 빼기: {}
instead|In its place: {}|대신: {}
gone|Taken away|뺐습니다
filters|Shown only|이 조건만
lt|under {}|{} 미만
lte|up to {}|{} 이하
gt|over {}|{} 초과
gte|from {}|{} 이상
not|not {}|{} 제외
unmet|Nothing here is “{}”, so that was left aside.|‘{}’ 조건에 맞는 제품이 없어 빼고 찾았습니다.
copy|Copy|복사
copied|Copied|복사했습니다
notCopied|Could not copy|복사하지 못했습니다
again|Another answer|다른 답변 보기
retry|Try again|다시 시도
writing|Writing a reply.|답변을 쓰고 있습니다.
shown|{} pieces|제품 {}점
cutShort|The reply reached its length limit here.|답변이 길이 제한에 이르러 여기서 끝났습니다.
stopped|Stopped.|중지했습니다.
nothing|No answer came this time. Try other words.|이번에는 답변이 나오지 않았습니다. 다른 말로 물어봐 주세요.
starting|The server is starting. This page tries again by itself.|서버를 시작하고 있습니다. 준비되면 자동으로 연결됩니다.
waits|The server is starting, or away. Your question is asked again by itself as soon as it answers.|서버가 시작 중이거나 연결되지 않습니다. 연결되면 질문을 자동으로 다시 보냅니다.
status|The chat answered with an error ({}).|오류가 발생했습니다({}).
cutOff|The connection ended before the reply did.|답변이 끝나기 전에 연결이 끊겼습니다.
unreadable|The reply came in a form that this page can’t read.|답변의 형식을 읽을 수 없습니다.
unexpected|Something went wrong on this page. Try again.|페이지에 문제가 생겼습니다. 다시 시도해 주세요.
keyAsked|This chat asks for a key.|이용하려면 키가 필요합니다.
keyWrong|That key is not one of this chat’s. Try another.|등록되지 않은 키입니다. 다른 키를 입력해 주세요.
key|Key|키
keyKept|Remember it on this device|이 기기에 저장
keyUse|Use this key|이 키 사용
error.rate_limit_exceeded||요청 한도를 넘었습니다. 잠시 후 다시 시도해 주세요.
error.overloaded||지금은 이용자가 많습니다. 잠시 후 다시 시도해 주세요.
error.unavailable||서버 일부가 다시 시작되는 중입니다. 잠시 후 다시 시도해 주세요.
error.timeout||제시간에 답변을 마치지 못했습니다. 다시 시도해 주세요.
error.invalid_image||사진을 읽을 수 없습니다. 다른 사진을 보내 주세요.`;
const WORDS = Object.fromEntries(
	TABLE.split("\n").map((line) => {
		const [key, ...said] = line.split("|");
		return [key, said];
	}),
);

const languageOf = (tag) => tag.slice(0, 2).toLowerCase();
const known = (language) => LANGUAGES.includes(language);
let language = [recall("language"), ...navigator.languages.map(languageOf), "en"].find(known);

export function locale() {
	return navigator.languages.find((tag) => languageOf(tag) === language) ?? language;
}

// `value` where the language has no words.
export function say(key, value = "") {
	return WORDS[key]?.[LANGUAGES.indexOf(language)]?.replace("{}", () => value) || value;
}

// Words that change with the language. `parts` maps "text", or an attribute's name, to a key.
export function worded(node, parts, value = "") {
	node.dataset.say = Object.entries(parts)
		.map((part) => part.join(":"))
		.join(" ");
	node.dataset.value = value;
	fill(node);
	return node;
}

export function button(parts, onClick, value, attributes, ...children) {
	const node = worded(element("button", { type: "button", ...attributes }, ...children), parts, value);
	node.addEventListener("click", onClick);
	return node;
}

export const remover = (onClick, name) => button({ "aria-label": "remove", title: "remove" }, onClick, name, {}, "×");

export const span = (key, value) => worded(element("span"), { text: key }, value);

export function fillIn() {
	document.documentElement.lang = language;
	document.querySelectorAll("[data-say]").forEach(fill);
}

export function switchLanguage() {
	language = language === "en" ? "ko" : "en";
	keep("language", language);
	fillIn();
}

function fill(node) {
	for (const part of node.dataset.say.split(" ")) {
		const [where, key] = part.split(":");
		const words = say(key, node.dataset.value);
		if (where === "text") node.textContent = words;
		else node.setAttribute(where, words);
	}
}
