// A picture file -> a small JPEG, upright and on white.

import { say } from "./words.js";

const MAX_SIDE_PX = 1024;
const JPEG_QUALITY = 0.86;

export async function preparePicture(file) {
	const source = URL.createObjectURL(file);
	try {
		const image = new Image();
		image.src = source;
		await image.decode();
		return { name: file.name || say("pasted"), ...asJpeg(image) };
	} finally {
		URL.revokeObjectURL(source);
	}
}

function asJpeg(image) {
	const scale = Math.min(1, MAX_SIDE_PX / Math.max(image.naturalWidth, image.naturalHeight));
	const width = Math.max(1, Math.round(image.naturalWidth * scale));
	const height = Math.max(1, Math.round(image.naturalHeight * scale));
	const canvas = document.createElement("canvas");
	Object.assign(canvas, { width, height });
	const context = canvas.getContext("2d");
	context.fillStyle = "white";
	context.fillRect(0, 0, width, height);
	context.drawImage(image, 0, 0, width, height);
	return { url: canvas.toDataURL("image/jpeg", JPEG_QUALITY), width, height };
}
