"""Which OpenMoji drawings are variants of one: the names' patterns, as a table. Knows nothing of pictures or of splits.

A name is lower case here. The first line of SERIES whose subgroup and pattern both match gives the series; other names
lose the words by which variants differ (who is drawn, which way, which colour), and what remains is the series.
"""

import re

ANY = ""
PEOPLE = r"person|family|people|hand-|healthcare|emergency|climate|gardening"

# (subgroup pattern, name pattern, series); both patterns are searched for, so ^ and $ stand where they are needed.
SERIES: tuple[tuple[str, str, str], ...] = (
    # People: heads that differ in hair, age or mouth; couples; families.
    (r"^person$", ANY, "portrait"),
    (r"^person-gesture$", r"frowning|pouting", "portrait"),
    (r"^person-role$", r"^(prince|princess|person with crown)$", "royalty"),
    (r"^person-role$", r"pregnant", "pregnant"),
    (r"^person-role$", r"breast-feeding|feeding baby", "feeding a baby"),
    (r"^person-role$", r"turban|skullcap|headscarf", "head covering"),
    (r"^person-fantasy$", r"claus$", "santa claus"),
    (r"^person-fantasy$", r"merperson|merman|mermaid", "merperson"),
    (r"^person-fantasy$", r"superhero|supervillain", "superhero"),
    (r"^person-activity$", r"dancing|ballet dancer", "dancer"),
    (r"^person-activity$", r"wheelchair", "person in wheelchair"),
    (r"^person-sport$", r"biking", "biking"),
    (r"^family$", r"^(kiss|couple with heart)", "couple"),
    (r"^family$", r"holding hands$", "holding hands"),
    (r"^(family|person-symbol)$", r"^family", "family"),
    (r"^person-symbol$", r"^busts? in silhouette|speaking head", "silhouette"),
    (r"^healthcare$", r"(doctor|nurse)$", "doctor or nurse"),
    (r"^monkey-face$", ANY, "no-evil monkey"),
    # Hands that differ in the way they point.
    (r"^hand-", r"pushing hand$", "pushing hand"),
    (r"^hand-", r"^(rightwards|leftwards|palm down|palm up) hand$", "hand held out"),
    (r"^hand-", r"^(raised back of hand|raised hand|hand with fingers splayed|waving hand)$", "raised hand"),
    (r"^hand-", r"index pointing", "index pointing"),
    (r"^hand-", r"fist$", "fist"),
    (r"^hand-", r"^thumbs", "thumb"),
    # Nature and sky.
    (r"^sky-weather$", r"moon", "moon"),
    (r"^sky-weather$", r"cloud", "cloud"),
    (r"^sky-weather$", r"^umbrella", "umbrella"),
    (r"^sky-weather$", r"^snowman", "snowman"),
    (r"^sky-weather$", r"^sun", "sun"),
    (r"^animal-bird$", r"chick$", "chick"),
    (r"^(climate-environment)$", r"^(iceberg|floating ice)", "iceberg"),
    (r"^(climate-environment)$", r"^ice shelf", "ice shelf"),
    (r"^(climate-environment)$", r"^nuclear power plant", "nuclear power plant"),
    # Clocks, meters and other things in several states.
    (r"^time$", r"o.clock$|-thirty$", "clock face"),
    (r"^time$", r"^hourglass", "hourglass"),
    (r"^sound$", r"speaker (low|medium|high) volume|muted speaker", "speaker"),
    (r"^sound$", r"^bell", "bell"),
    (r"^music$", r"^musical notes?$", "musical note"),
    (r"^lock$", r"locked", "padlock"),
    (r"^mail$", r"mailbox", "mailbox"),
    (r"^mail$", r"envelope|e-mail", "envelope"),
    (r"^mail$", r"^(in|out)box tray", "tray"),
    (r"^money$", r"banknote|money with wings", "banknote"),
    (r"^(office|money)$", r"^chart (in|de)creasing", "chart"),
    (r"^office$", r"file folder", "file folder"),
    (r"^office$", r"paperclip", "paperclip"),
    (r"^office$", r"pushpin", "pushpin"),
    (r"^office$", r"^spiral", "spiral pad"),
    (r"^book-paper$", r"^(closed|green|blue|orange) book$|^books$", "book"),
    (r"^book-paper$", r"newspaper", "newspaper"),
    (r"^light-video$", r"^magnifying glass", "magnifying glass"),
    (r"^light-video$", r"^camera", "camera"),
    (r"^(phone|av-symbol)$", r"^mobile phone|vibration mode", "mobile phone"),
    (r"^computer$", r"battery$", "battery"),
    (r"^computer$", r"^(optical disk|dvd)$", "optical disk"),
    (r"^award-medal$", r"place medal$", "place medal"),
    (r"^drink$", r"beer mugs?$", "beer mug"),
    (r"^transport-air$", r"^airplane (departure|arrival)$", "airplane taking off or landing"),
    (r"^transport-ground$", r"traffic light$", "traffic light"),
    (r"^place-map$", r"^globe showing", "globe"),
    # Signs.
    (r"^transport-sign$", r"room$", "restroom"),
    (r"^arrow$", r"^[a-z!]+!? arrow$(?<!up arrow)(?<!down arrow)(?<!left arrow)(?<!right arrow)", "arrow with a word"),
    (r"^arrow$", ANY, "arrow"),
    (r"^symbol-other$", r"black arrow$", "arrow"),
    (r"^av-symbol$", r"^(play|reverse|upwards|downwards) button$", "triangle button"),
    (r"^av-symbol$", r"^fast[- ](forward|reverse|up|down) button$", "double triangle button"),
    (r"^av-symbol$", r"^(next|last) track button$", "track button"),
    (r"^av-symbol$", r"^repeat", "repeat button"),
    (r"^av-symbol$", r"^(dim|bright) button$", "brightness button"),
    (r"^punctuation$", r"question mark$", "question mark"),
    (r"^punctuation$", r"exclamation mark$", "exclamation mark"),
    (r"^other-symbol$", r"^check ", "check mark"),
    (r"^other-symbol$", r"^cross mark", "cross mark"),
    (r"^other-symbol$", r"curly loop$", "curly loop"),
    (r"^keycap$", ANY, "keycap"),
    (r"^regional-indicator$", ANY, "regional indicator"),
    (r"^alphanum$", r"^input ", "input button"),
    (r"^alphanum$", r"^japanese ", "japanese button"),
    (r"^alphanum$", ANY, "button with letters"),
    (r"^symbol-other$", r"^rounded symbol for", "rounded symbol"),
    (r"^symbol-other$", r"^stick figure", "stick figure"),
    (r"^symbol-other$", r"^power ", "power symbol"),
    (r"^(other-symbol|symbol-other)$", r"^circled |copyright$|^copyleft|^registered$", "circled sign"),
    (r"^(other-symbol|symbol-other)$", r"^(trade|service) mark$", "trade mark"),
    (r"^emotion$", r"speech balloon|speech bubble|anger bubble|thought balloon", "speech balloon"),
    # One shape in many colours, sizes or fillings.
    (r"^heart$", r"^(broken heart|mending heart|heart on fire)$", "broken heart"),
    (r"^heart$", r"^(two|revolving) hearts$", "two hearts"),
    (r"^heart$", r"^[a-z ]+ heart$(?<!growing heart)(?<!beating heart)(?<!sparkling heart)", "heart in a colour"),
    (r"^(geometric|symbol-other|other-symbol)$", r"circle$|^circle with|fisheye|radio button", "circle"),
    (r"^(geometric|symbol-other)$", r"squares?\b|enclosing keycap", "square"),
    (r"^geometric$", r"diamond$", "diamond in a colour"),
    (r"^(geometric|symbol-other)$", r"^(red|up-pointing) triangle", "triangle"),
    (r"^symbol-other$", r"(rect|pent|hex|oct)agon *$|rectangle$|ellipse$", "polygon"),
    (r"^symbol-other$", r"star$|^star with", "star in a colour"),
    (r"^symbol-other$|^game$", r"chess [a-z]+$", "chess piece"),
    (r"^queer-symbols$", ANY, "queer flag"),
    (r"^subdivision-flag$", ANY, "subdivision flag"),
    (r"^flags$", ANY, "flag"),
    (r"^(food-drink|dishware)$", r"^jar\b", "jar"),
    (r"^food-drink$", r"^champignon", "champignon"),
    (r"^food-fruit$", r"^(red|green) apple$", "apple"),
    # The emergency, interface and medical sets draw series too.
    (r"^emergency$", r"^evacuate|drop cover hold", "evacuate"),
    (r"^emergency$", r"^warning (tsunami|volcano|fire)|^authority|^assembly", "emergency sign"),
    (r"^emergency$", r"^flagged", "flagged place"),
    (r"^emergency$", r"stencil$", "stencil"),
    (r"^emergency$", r"^warning strip", "warning strip"),
    (r"^emergency$", r"^mobile (info|message)", "mobile phone with a sign"),
    (r"^emergency$", r"^volcano|^structural fire|^wild fire", "fire in the land"),
    (r"^interaction$", ANY, "touch gesture"),
    (r"^healthcare$", r"^patient (file|clipboard)", "patient file"),
    (r"^healthcare$", r"(pain|ache)$", "pain"),
    (r"^healthcare$", r"intestine$", "intestine"),
    (r"^(healthcare|emergency|objects)$", r"^first aid", "first aid"),
    (r"^ui-element$", r"^toggle button", "toggle button"),
    (r"^ui-element$", r"^(up|down)load$", "upload or download"),
    (r"^brand$", r"^(chrome|chromium|chrome canary)$", "chrome"),
    (r"^brand$", r"^firefox", "firefox"),
    (r"^brand$", r"^(c|cplusplus|csharp)$", "c"),
    (r"^brand$", r"^(java|type)script$", "javascript"),
)

WHO = re.compile(r"\b(person|people|man|men|woman|women|male|female|boy|girl)\b(?!['\u2019])")
WAY = re.compile(r":? *\b(facing right|facing left)\b|\b(left|right)-facing\b")


def series_of(name: str, *, subgroup: str) -> str:
    """The series of a drawing, given its annotation and subgroup; drawings of one series are siblings.

    A series of the table is marked as one, so that it never takes in a drawing that merely has its name.
    """
    name = name.strip().lower()
    for subgroup_pattern, name_pattern, series in SERIES:
        if re.search(subgroup_pattern, subgroup) and re.search(name_pattern, name):
            return f"series: {series}"
    return _without_variant(name, subgroup)


def _without_variant(name: str, subgroup: str) -> str:
    """`woman running: facing right` -> `running`; a name that is nothing else stays as it is."""
    shorter = WAY.sub("", name)
    if re.search(PEOPLE, subgroup):
        shorter = WHO.sub("", shorter)
    shorter = " ".join(shorter.split()).strip(" :,")
    return shorter or name
