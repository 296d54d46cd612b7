#include "core/data/dialects.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/random_stream.h"

namespace starling::core {
namespace {

using Word = std::string_view;

/// The neutral words that templates name in braces, then what each dialect says instead, in the same order.
constexpr std::array<Word, 24> kMeanings{"storm", "river", "house", "lamp", "bread", "bird",    "child", "friend", "road", "cart", "field", "song",
                                         "fire",  "stone", "bell",  "door", "small", "carried", "found", "mended", "called", "cold", "old",  "bright"};
constexpr std::array<std::array<Word, 24>, kDialects> kWords{{
    {"seafret",   "tidewend",  "keelhome", "pharrow", "brinecake", "gullow", "mizzet", "crewmate", "shoreway", "sledgeboat", "saltlea",  "shantel",
     "driftglow", "pebbock",   "buoybell", "hatchel", "tiddy",     "hauled", "netted", "caulked",  "hailed",   "nithered",   "barnacled", "glinsome"},
    {"snellwind", "beckrun",   "cragfold", "glimmet", "bannock",   "laverick", "bairnie", "fellmarrow", "drovetrack", "hurlbarrow", "shieling", "pibroch",
     "peatlow",   "clachan",   "tupbell",  "yettle",  "peerie",    "humped",   "spied",   "clouted",    "hollered",   "snellish",   "hoary",    "skyrie"},
    {"blusterfen", "lodewater", "reedhall", "wispling", "ryeloaf", "bitterel", "dabchick", "puntfellow", "dykepath", "mudsledge", "sedgeplot", "croonel",
     "turfblaze",  "flintlet",  "fogbell",  "wicketry", "minnowy", "poled",    "gleaned",  "thatched",   "whistled", "dankish",   "mossgrown", "shimmery"},
    {"branchfall", "millbrook", "logstead", "glowhorn", "nutloaf", "thrushel",   "saplet",  "barkmate", "bridlelane", "timberwain",  "gladespot", "warblet",
     "emberpile",  "knollcob",  "stagbell", "knotgate", "twiggy",  "shouldered", "foraged", "whittled", "yodelled",   "frostnipped", "gnarled",   "dewlit"},
}};

struct Person {
  Word name;
  bool she;
};
constexpr std::size_t kPersons = 6;
constexpr std::array<std::array<Person, kPersons>, kDialects> kPersonsOf{{
    {{{"Morwen", true}, {"Jory", false}, {"Tamsin", true}, {"Perran", false}, {"Lowena", true}, {"Denzil", false}}},
    {{{"Ailsa", true}, {"Ewan", false}, {"Morag", true}, {"Lachlan", false}, {"Catriona", true}, {"Fergus", false}}},
    {{{"Hanne", true}, {"Sietse", false}, {"Femke", true}, {"Jorrit", false}, {"Aukje", true}, {"Wiebe", false}}},
    {{{"Linnea", true}, {"Torsten", false}, {"Solveig", true}, {"Halvar", false}, {"Ragna", true}, {"Bjarne", false}}},
}};

constexpr std::array<Word, kDialects> kNames{"coast", "hills", "marsh", "woods"};
constexpr std::array<Word, kDialects> kWhere{"On the coast", "In the hills", "In the marsh", "In the woods"};

constexpr std::array<Word, 6> kTimes{"morning", "evening", "summer", "night", "winter", "day"};
constexpr std::array<Word, 6> kTrades{"baker", "teacher", "miller", "doctor", "weaver", "painter"};
constexpr std::array<Word, 5> kNumbers{"two", "three", "four", "five", "six"};

// A and B are persons; he, him and his are A's, at the beginning of a sentence He. Earlier ones are likelier.
constexpr std::array<Word, 7> kOpenings{
    "One {time} {A} the {trade} {carried} a {small} {lamp} along the {road}.",
    "{A} lived in a {house} by the {river}, where every {child} knew {him}.",
    "When the {storm} was over, {A} opened the {door} and saw {number} {bird}s.",
    "In the {time} {A} the {trade} {found} a {stone} that was as {bright} as a {lamp}.",
    "There was a {small} {house} at the end of the {road}, and {A} lived there with a {bird}.",
    "Long ago {A} {mended} the {bell} that {B} had {found} in the {field}.",
    "Every {time} {A} made {bread} and gave it to {B}.",
};
constexpr std::array<Word, 10> kMiddles{
    "Then a {cold} {storm} came over the {field}, and the {road} was gone.",
    "{He} {called} {B}, who was {his} {friend}, and they {carried} the {cart} to the {house} together.",
    "The {bird} by the {river} began a {song} that no {child} had heard before.",
    "\"Is there some {bread} left?\" asked {B}, and {A} {found} {number} pieces.",
    "But the {door} of the {house} was {old}, and so {B} {mended} it with a {stone}.",
    "They sat by the {fire} until the {bell} {called} them at {number}.",
    "{B} was afraid of the {storm}, but {A} {carried} the {lamp} in front.",
    "A {small} {child} had lost a {bird} in the {field}, and {A} {found} it under the {cart}.",
    "The {river} was {cold} and {bright}, and nobody but {B} knew the {road} beside it.",
    "{He} told the {trade} what the {bird} had said about the {storm}.",
};
constexpr std::array<Word, 7> kEndings{
    "That {time} the {fire} was {bright}, and {A} shared the {bread} with every {friend}.",
    "And when the {bell} rang, {B} sang the {old} {song} once more.",
    "Since then a {lamp} has stood at the {door} of the {house}.",
    "In the end the {storm} was gone, and the {child} slept by the {fire}.",
    "\"A {friend} is worth more than {number} {cart}s,\" said {A}.",
    "So the {bird} flew home over the {river}, and {A} went back to the {house}.",
    "Nobody ever {found} the {stone} again.",
};

/// What one line is about.
class Story {
 public:
  Story(std::size_t dialect, std::uint64_t seed, std::uint64_t line) : dialect_(dialect), random_(seed, Purpose::texts, {0, dialect, line}) {
    const std::size_t hero = pick(kPersons);
    hero_ = kPersonsOf[dialect][hero];
    friend_ = kPersonsOf[dialect][(hero + 1 + random_.below(kPersons - 1)) % kPersons];
  }

  std::string tell() {
    if (random_.below(5) == 0) return explain();
    std::string line = expand(one_of(kOpenings));
    std::size_t before = kMiddles.size();
    for (std::uint64_t left = 2 + random_.below(2); left > 0; --left) {
      std::size_t next = pick(kMiddles.size());
      if (next == before) next = (next + 1) % kMiddles.size();
      line += " " + expand(kMiddles[next]);
      before = next;
    }
    return line + " " + expand(one_of(kEndings)) + "\n";
  }

 private:
  /// What the dialect says for two things.
  std::string explain() {
    const std::size_t one = random_.below(kMeanings.size()), other = (one + 1 + random_.below(kMeanings.size() - 1)) % kMeanings.size();
    const auto& words = kWords[dialect_];
    return fmt::format("{} people say {} for {}, and {} for {}.\n", kWhere[dialect_], words[one], kMeanings[one], words[other], kMeanings[other]);
  }

  /// Below `count`, by weights of 1 / (1 + i / 2).
  std::size_t pick(std::size_t count) {
    const auto weight = [](std::size_t i) { return 2.0 / static_cast<double>(2 + i); };
    double total = 0;
    for (std::size_t i = 0; i < count; ++i) total += weight(i);
    double left = random_.uniform() * total;
    for (std::size_t i = 0; i + 1 < count; ++i)
      if ((left -= weight(i)) < 0) return i;
    return count - 1;
  }
  template <std::size_t N>
  Word one_of(const std::array<Word, N>& choices) {
    return choices[pick(N)];
  }

  std::string expand(Word pattern) {
    std::string text;
    for (std::size_t at = 0; at < pattern.size();) {
      const std::size_t open = std::min(pattern.find('{', at), pattern.size());
      text += pattern.substr(at, open - at);
      if (open == pattern.size()) break;
      const std::size_t close = pattern.find('}', open);
      text += word(pattern.substr(open + 1, close - open - 1));
      at = close + 1;
    }
    return text;
  }

  Word word(Word key) {
    for (std::size_t i = 0; i < kMeanings.size(); ++i)
      if (kMeanings[i] == key) return kWords[dialect_][i];
    if (key == "A") return hero_.name;
    if (key == "B") return friend_.name;
    if (key == "he") return hero_.she ? "she" : "he";
    if (key == "He") return hero_.she ? "She" : "He";
    if (key == "his") return hero_.she ? "her" : "his";
    if (key == "him") return hero_.she ? "her" : "him";
    if (key == "time") return one_of(kTimes);
    if (key == "trade") return one_of(kTrades);
    if (key == "number") return one_of(kNumbers);
    fail(Kind::internal, "a template asks for '{}'", key);
  }

  std::size_t dialect_;
  RandomStream random_;
  Person hero_{}, friend_{};
};

}  // namespace

Word dialect_name(std::size_t dialect) { return kNames.at(dialect); }

std::span<const Word> dialect_words(std::size_t dialect) { return kWords.at(dialect); }

std::string dialect_text(std::size_t dialect, std::size_t bytes, std::uint64_t seed) {
  ensure(dialect < kDialects, "no such dialect");
  std::string text;
  for (std::uint64_t line = 0; text.size() < bytes; ++line) text += Story(dialect, seed, line).tell();
  return text;
}

}  // namespace starling::core
