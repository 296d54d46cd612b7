"""Little stories by a seeded probabilistic grammar: birds that share a song too heavy for one.

A story has a plot (so that its most likely continuation moves on instead of looping), agreement in number
and gender, relative clauses inside relative clauses, and facts that return much later: the names of the
friends, who took which part, what was kept where. `story(rng)` is one story.
"""

BIRDS = ["starling", "wren", "swift", "robin", "finch", "swallow", "sparrow", "lark"]
NAMES = ["Otto", "Ada", "Finn", "Mira", "Nell", "Hugo", "Tove", "Milo", "Lena", "Pim", "Ida", "Jon", "Zo\u00eb", "Emil",
         "Runa", "Tam"]
SHE = {"Ada", "Mira", "Nell", "Tove", "Lena", "Ida", "Zo\u00eb", "Runa"}
SIZES = ["small", "young", "grey", "clever", "quiet", "brave", "curious", "patient"]
COLOURS = ["red", "blue", "green", "yellow", "silver", "white", "brown", "black"]
DEVICES = ["lamp", "clock", "radio", "kettle", "bell", "camera", "pump", "music box"]
HOMES = ["under the roof of an old mill", "in a pear tree", "at the edge of the harbour", "in the clock tower",
         "behind the library", "on a long wooden bridge", "in the walls of a castle", "near the railway station"]
HIDING = ["in a hollow tree", "under a flat stone", "on the highest shelf", "behind the water wheel",
          "in a wooden box", "beside the garden gate", "below the stairs", "on the window sill"]
WEATHER = ["storm", "fog", "frost", "heavy rain", "cold wind", "long night"]
REGIONS = ["valley", "town", "harbour", "forest", "hills", "village"]
TIMES = ["morning", "evening", "day in autumn", "night in winter", "afternoon"]
PARTS = ["first", "second", "third", "fourth", "fifth", "sixth"]
NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven"]
TALENTS = ["had the strongest wings", "knew every street", "could count to a hundred", "never slept before midnight",
           "had the clearest voice", "remembered every word", "was not afraid of the dark", "could see in the fog"]
BURDENS = ["a song with a thousand notes", "a letter of a hundred pages", "a map of the whole sky",
           "a story without an end", "a question that nobody could answer"]
LESSONS = ["What is too heavy for one is light for many.", "Nobody is small who carries a part of something big.",
           "Many small wings can turn the whole sky.", "A part is enough, if all the others bring theirs."]


def pick(rng, choices):
    """One of a list; earlier ones are likelier, so that a trained model prefers one clearly."""
    return rng.choices(choices, [(rank + 1) ** -0.7 for rank in range(len(choices))])[0]


class Bird:
    def __init__(self, rng, taken):
        self.name = pick(rng, [name for name in NAMES if name not in taken])
        taken.add(self.name)
        she = self.name in SHE
        self.he, self.him, self.his = ("she", "her", "her") if she else ("he", "him", "his")
        self.kind = pick(rng, [kind for kind in BIRDS if kind not in taken])
        self.talent = pick(rng, [talent for talent in TALENTS if talent not in taken])
        taken.update([self.kind, self.talent])


def weighted(rng, *choices):
    """One of (weight, text) pairs."""
    return rng.choices([text for _, text in choices], [weight for weight, _ in choices])[0]


def listing(names):
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def plural(device):
    return device + "es" if device.endswith("x") else device + "s"


def clause(rng, depth=0):
    """A relative clause about several things; may hold another one."""
    text = weighted(rng, (3, "that stood by the river"), (2, "that hung over the road"),
                    (2, "that the children loved"), (1, "that nobody could repair"))
    if depth < 2 and rng.random() < (0.45 if depth == 0 else 0.15):
        text = "that belonged to the " + weighted(rng, (3, "people"), (2, "farmers"), (1, "sailors")) + \
               weighted(rng, (2, " who lived near the houses "), (1, " who slept under the trees ")) + \
               clause(rng, depth + 1)
    return text


def opening(rng, hero, device, colour, place):
    size, home = pick(rng, SIZES), pick(rng, HOMES)
    first = weighted(
        rng,
        (6, f"Once there was a {size} {hero.kind} named {hero.name} who lived {home}."),
        (2, f"{hero.name} was a {size} {hero.kind} and lived {home}."),
        (1, f"Long ago a {size} {hero.kind} lived {home}, and {hero.his} name was {hero.name}."))
    kept = weighted(
        rng,
        (3, f" {hero.he.capitalize()} kept a {colour} {device} {place}, and every evening {hero.he} listened to it."),
        (2, f" All that {hero.he} owned was a {colour} {device}, which {hero.he} kept {place}."))
    return first + kept


def trouble(rng, hero, device, colour, burden):
    weather, region, time = pick(rng, WEATHER), pick(rng, REGIONS), pick(rng, TIMES)
    verb = "were" if region == "hills" else "was"
    many = plural(pick(rng, [d for d in DEVICES if d != device]))
    return (f"One {time} a {weather} came over the {region}, and the {many} {clause(rng)} went silent. " +
            weighted(rng,
                     (3, f"The {colour} {device} was silent too, and soon the {region} {verb} as still as snow. "),
                     (2, f"Even the {colour} {device} said nothing any more. ")) +
            weighted(rng,
                     (3, f"Only {burden} could wake them again. "),
                     (2, f"To wake them somebody had to carry {burden} over the {region}. ")) +
            weighted(rng,
                     (3, f"{hero.name} tried to carry it alone, but it was too heavy for one {hero.kind}."),
                     (2, f"{hero.name} tried it once, twice, three times, but {hero.his} wings were too small."),
                     (1, f"{hero.name} was willing, but no {hero.kind} could do that alone.")))


def gathering(rng, hero, friends):
    count = NUMBERS[len(friends)] + (" friends" if len(friends) > 1 else " friend")
    text = weighted(rng, (3, f"So {hero.he} called {count}."), (2, f"Then {hero.he} asked {count} to help."))
    text += weighted(rng, (2, f' "We will share it," said {hero.name}.'),
                     (1, f' "Each of us takes a part," said {hero.name}, "and nobody takes all."'))
    for part, friend in zip(PARTS, friends):
        text += weighted(
            rng,
            (4, f" {friend.name} the {friend.kind}, who {friend.talent}, took the {part} part."),
            (2, f" The {part} part was for {friend.name} the {friend.kind}, who {friend.talent}."))
    return text + f" {hero.name} kept the last part."


def flight(rng, hero, friends):
    lost = pick(rng, range(len(friends)))
    helper = hero if len(friends) == 1 else friends[(lost + 1) % len(friends)]
    unlucky = friends[lost]
    reason = weighted(rng, (3, "because the wind was strong"), (2, "because the rain was cold"),
                      (1, "because somebody called from below"))
    return (weighted(rng,
                     (3, "They flew close together, and after every beat of the wings they told each other what they had. "),
                     (2, "They flew in one line, and when one of them turned, the others turned with it. ")) +
            weighted(rng,
                     (3, f"Over the sea {unlucky.name} dropped the {PARTS[lost]} part, {reason}. "),
                     (2, f"Half way {unlucky.name} grew tired, {reason}. ")) +
            weighted(rng,
                     (3, f"But {helper.name}, who flew beside {unlucky.him}, caught it and brought it back."),
                     (2, f"{helper.name}, who {helper.talent}, waited for {unlucky.him}, and so nothing was lost.")))


def ending(rng, hero, friends, device, colour, place):
    total = NUMBERS[len(friends) + 1]
    together = listing([f.name for f in friends] + [hero.name])
    return (weighted(rng,
                     (3, f"At sunrise they put the {total} parts together, and the sum was the same as if one bird had carried it all. "),
                     (2, f"In the end {together} put their {total} parts together, and not one note was missing. ")) +
            weighted(rng,
                     (3, f"The {colour} {device} {place} began to sing, and then all the others began too. "),
                     (2, f"There was a sound {place}: it was the {colour} {device}, and it was singing. ")) +
            pick(rng, LESSONS) +
            weighted(rng, (3, " The end."), (2, f" And {hero.name} slept until noon.")))


def story(rng):
    taken = set()
    hero = Bird(rng, taken)
    friends = [Bird(rng, taken) for _ in range(rng.choices([1, 2, 3, 4, 5], [1, 3, 5, 3, 1])[0])]
    device, colour, place = pick(rng, DEVICES), pick(rng, COLOURS), pick(rng, HIDING)
    return "\n".join([
        opening(rng, hero, device, colour, place),
        trouble(rng, hero, device, colour, pick(rng, BURDENS)),
        gathering(rng, hero, friends),
        flight(rng, hero, friends),
        ending(rng, hero, friends, device, colour, place),
    ])
