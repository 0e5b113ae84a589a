// What is kept. A store that is closed, full or spoilt is as good as an empty one.

const area = (ofTab) => (ofTab ? sessionStorage : localStorage);

export function recall(name, ofTab = false) {
	try {
		return JSON.parse(area(ofTab).getItem(`fromage.${name}`));
	} catch {
		return null;
	}
}

// Returns whether there was room; null takes away.
export function keep(name, value, ofTab = false) {
	try {
		if (value === null) area(ofTab).removeItem(`fromage.${name}`);
		else area(ofTab).setItem(`fromage.${name}`, JSON.stringify(value));
		return true;
	} catch {
		return false;
	}
}
