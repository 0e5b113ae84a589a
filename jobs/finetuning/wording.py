"""How training puts things: captions, wishes that a shopper might type, and messages that call for no product.

`{item}` is an item's name, `{tag}` and `{other}` two of its tags, `{gloss}` a dictionary's words for it. Replies after
products name the item wished for; replies to all other messages are the LM's own. None of it stands
in the quality sets that `jobs.evaluate --queries` asks; a test holds that.
"""

NAME_WISHES = (
    "Show me {item}.",
    "show me your {item}",
    "I'm looking for {item}.",
    "I am after {item}, what have you got?",
    "Have you got {item}?",
    "do you sell {item}",
    "I want {item}",
    "I'd like to see {item}, please.",
    "Can I see {item}?",
    "{item}",
    "{item} please",
    "Find me {item}.",
    "I need {item} by Friday.",
    "Where would I find {item} in your shop?",
    "My sister asked for {item}. Which ones are there?",
    "Looking to buy {item}, any ideas?",
    "I lost mine, so I need a new {item}.",
    "Got any nice {item} in stock?",
    "Could you recommend {item}?",
    "What {item} would you suggest?",
    "any {item}?",
    "Let me browse {item}.",
)

TAG_WISHES = (
    "Show me something with {tag} and {other}.",
    "I need something for {tag}.",
    "I want something to do with {tag}.",
    "Something {tag}, something {other}?",
    "Have you got anything {tag}?",
    "What do you have for {tag} and {other}?",
    "I'm shopping for something that makes people think of {tag}.",
    "A present for somebody who loves {tag} and {other}.",
    "We are planning something around {tag}; what could I bring?",
    "What would go with {tag}?",
    "My friend is mad about {tag}. What can I give her?",
    "I'd like an idea that fits {tag} and {other}.",
    "what is good for {tag}",
    "{tag}, {other}",
    "Help me find something: {tag}, {other}.",
    "Recommend me a thing for {tag}.",
)

GLOSS_WISHES = (
    "I need this: {gloss}.",
    "Show me {gloss}.",
    "I'm looking for {gloss}.",
    "Do you have {gloss}?",
    "What is it called, {gloss}? I want to buy one.",
    "I could use {gloss}.",
    "Find me something like this: {gloss}.",
    "I forgot the word. It's {gloss}. Have you got it?",
    "{gloss}",
    "For my trip I need {gloss}.",
)

CAPTIONS = (
    "A picture of {item}.",
    "A picture of {item}, {tag}, {other}.",
    "A picture of {tag}, {other}, {item}.",
    "A picture of {tag}, {other}.",
    "A picture of {gloss}.",
    "A picture of {item}: {gloss}.",
)

PICTURE_WISHES = (
    "Find me things that look like this.",
    "Do you have anything similar?",
    "I saw this today. What have you got that comes close?",
    "More of this kind, please.",
    "What goes in the same direction as this?",
    "Which of your products resemble this picture?",
    "I love this one, what else is there?",
    "similar ones?",
)

PICTURE_QUESTIONS = (
    "What is in this picture?",
    "What do you see here?",
    "Can you tell me what this is?",
    "Describe the picture.",
)

PICTURE_ANSWERS = (
    "This looks like {item}.",
    "I see {item}.",
    "The picture shows {item}.",
)

AFTER_PRODUCTS = (
    "Here are some ideas for you. I would start with the {item}.",
    "These might suit you. How about the {item}?",
    "I found a few things for you. The {item} could be just right.",
    "Have a look at these. The {item} comes closest to what you asked for.",
    "Here is what we have. The {item} would be a good choice.",
    "Of course! Take a look at the {item}, and at what goes with it.",
)

OTHER_MESSAGES = (
    "Hi", "Hi there!", "Hey", "Hello again", "Good evening", "Good day to you", "Yo", "Howdy", "Hiya, how is life?",
    "Nice to meet you", "Is anybody there?", "How do you do?", "What's new with you?", "How was your weekend?",
    "Thanks a lot!", "Thank you so much, that was great.", "Cheers, mate", "Perfect, thanks for that", "Much obliged",
    "That is kind of you.", "You have been wonderful.", "Great, that's all I wanted.", "ok thx", "Awesome work!",
    "Bye", "Bye for now", "See you next week", "Talk to you later", "Have a nice evening", "I have to go now.", "Goodnight",
    "Sorry, wrong window.", "Never mind.", "Forget what I said.", "Wait a moment please.", "Let me think about it.",
    "Yes", "No", "Maybe later", "Ok", "Sure, go ahead", "I agree with you.", "I don't think so.", "Haha", "That's funny",
    "I see.", "Interesting!", "Really?", "Are you sure?", "Why do you say that?", "Can you say that again?",
    "I don't understand what you mean.", "You misunderstood me.", "That is not correct.", "You are wrong about that.",
    "Who made you?", "Are you a person or a program?", "How old are you?", "Where do you live?", "Do you sleep?",
    "Can you feel pain?", "Which languages do you speak?", "What are you able to do?", "How do you work inside?",
    "Do you remember what I told you last month?", "Are my messages private?", "Tell me about yourself.",
    "What is the tallest mountain on Earth?", "Who wrote Hamlet?", "When did the Roman empire fall?",
    "What is the boiling point of water in Fahrenheit?", "How many legs does a spider have?", "Which planet is the biggest?",
    "Who was the first president of the United States?", "In which year did the Berlin wall come down?",
    "What language do people speak in Brazil?", "How far is the moon?", "Why do leaves turn brown?",
    "What causes earthquakes?", "How does a vaccine work?", "Explain gravity to a child.", "What is inflation?",
    "Why do cats purr?", "Who painted the Mona Lisa?", "What is the currency of Japan?", "What does DNA stand for?",
    "What is 12 times 12?", "Calculate 15 percent of 80.", "What is the square root of 49?", "Solve 2x + 3 = 11.",
    "How many minutes are there in a day?", "Add 348 and 977.", "Is 51 a prime number?", "Convert 10 miles to kilometres.",
    "What day comes after Thursday?", "How many days are in February?", "What time is it in Tokyo when it is noon in London?",
    "Tell me a joke.", "Write a short poem about autumn.", "Tell me a story about a dragon.", "Sing something for me.",
    "Give me a riddle.", "Make up a limerick.", "Write a haiku.", "Say something nice.", "Tell me a fun fact.",
    "Translate good morning into Spanish.", "How do you say thank you in Italian?", "Correct my spelling: recieve.",
    "What is a synonym of happy?", "What is the plural of mouse?", "Spell the word necessary.", "Is it fewer or less?",
    "Summarise the plot of Romeo and Juliet.", "What is a noun?", "Write an email to my boss saying that I am ill.",
    "How do I boil an egg?", "How can I fall asleep faster?", "How do I reset my password?", "How do I learn to type faster?",
    "How do I remove a coffee stain?", "What should I do when I have a headache?", "How do I tie a bowline knot?",
    "How can I become more confident?", "How do I write a good essay?", "How do I stop my dog from barking?",
    "What's the best way to study for an exam?", "How many hours should one sleep?", "How do plants drink?",
    "Should I quit my job?", "Do you think it will rain tomorrow?", "What do you think of modern art?",
    "Who will win the election?", "Is it better to live in a city or in a village?", "Do you believe in ghosts?",
    "What is your favourite film?", "Which football team do you support?", "What is happiness?", "Is time travel possible?",
    "I am sad today.", "I had a terrible day at work.", "I am so tired.", "I feel lonely.", "My grandmother is in hospital.",
    "I just got engaged!", "I passed my driving test today.", "It is my birthday.", "We moved house last week.",
    "My train is late again.", "I hate Mondays.", "I can't concentrate.", "I'm nervous about tomorrow.",
    "Where is my order?", "My parcel has not arrived.", "I would like to cancel my order.", "Can I pay in instalments?",
    "Do you ship to Canada?", "What is your return policy?", "How long does delivery take?", "Do you have a shop in Berlin?",
    "My discount code doesn't work.", "I want to speak to a human.", "When do you open on Saturdays?",
    "How do I change my delivery address?", "Can I get an invoice?", "Is there a phone number that I can call?",
    "Write a function that adds two numbers in Python.", "What is a database index?", "Explain recursion.",
    "What does HTTP mean?", "Why is my computer slow?", "What is the difference between RAM and a hard disk?",
    "How do I sort a list in Python?", "What is machine learning?", "Who invented the internet?", "What is open source?",
    "Who discovered penicillin?", "What is the speed of sound?", "Name three rivers in Europe.", "How many strings has a cello?",
    "What is the largest ocean?", "What is an atom?", "Who was Cleopatra?", "How long is a marathon?", "What is a leap year?",
    "Why is grass green?", "What is the opposite of cold?", "Name a famous composer.", "What is the capital of Norway?",
    "What is the capital of Argentina?", "Which country has the most people?", "How does a microwave work?",
    "Why do we yawn?", "What is the meaning of irony?", "How tall is the Eiffel tower?", "What do pandas eat?",
    "When was the printing press invented?", "What happened in 1969?", "How do bees make honey?", "What is jazz?",
)  # fmt: skip
