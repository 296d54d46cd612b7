// The formats of strings. Each is a part of what its specification allows that is easily written: no leap days, years
// of this and the last millennium, addresses in full.
#include <array>

#include "core/text/grammar/json_schema.h"

namespace starling::core {
namespace {

#define DAYS_28 R"(("0" [1-9] | "1" [0-9] | "2" [0-8]))"
#define DAYS_30 R"(("0" [1-9] | [12] [0-9] | "30"))"
#define DAYS_31 R"(("0" [1-9] | [12] [0-9] | "3" [01]))"
#define DATE R"([12] [0-9]{3} "-" (("0" [13578] | "1" [02]) "-" )" DAYS_31 R"( | ("0" [469] | "11") "-" )" DAYS_30 R"( | "02-" )" DAYS_28 ")"
#define HOUR R"(([01] [0-9] | "2" [0-3]))"
#define TIME HOUR R"( ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})? ("Z" | [+-] )" HOUR R"( ":" [0-5] [0-9]))"
#define COUNT R"([0-9]{1,4} )"
#define LABEL R"([a-z0-9]{1,20} ("-" [a-z0-9]{1,20})?)"
#define HOST LABEL R"( ("." )" LABEL R"(){0,2} "." [a-z]{2,10})"
#define OCTET R"(([0-9] | [1-9] [0-9] | "1" [0-9]{2} | "2" [0-4] [0-9] | "25" [0-5]))"
#define HEX "[0-9a-f]"
#define SECONDS COUNT R"("S")"
#define MINUTES COUNT R"("M" ()" SECONDS ")?"
#define HOURS COUNT R"("H" ()" MINUTES ")?"
#define CLOCK R"("T" ()" HOURS " | " MINUTES " | " SECONDS ")"
#define DAYS COUNT R"("D")"
#define MONTHS COUNT R"("M" ()" DAYS ")?"
#define YEARS COUNT R"("Y" ()" MONTHS ")?"

struct Format {
  std::string_view name, expression;
};

constexpr std::array<Format, 10> kFormats = {{
    {"date", DATE},
    {"time", TIME},
    {"date-time", DATE R"( "T" )" TIME},
    {"duration", R"("P" ()" COUNT R"("W" | ()" YEARS " | " MONTHS " | " DAYS ") (" CLOCK ")? | " CLOCK ")"},
    {"email", R"([a-z0-9]{1,20} ([._+-] [a-z0-9]{1,20}){0,2} "@" )" HOST},
    {"hostname", HOST},
    {"ipv4", OCTET R"( "." )" OCTET R"( "." )" OCTET R"( "." )" OCTET},
    {"ipv6", HEX R"({1,4} (":" )" HEX R"({1,4}){7})"},
    {"uuid", HEX R"({8} "-" )" HEX R"({4} "-" )" HEX R"({4} "-" )" HEX R"({4} "-" )" HEX "{12}"},
    {"uri", R"("http" "s"? "://" )" HOST R"( ("/" [A-Za-z0-9._~-]{1,40}){0,8} "/"?)"},
}};

}  // namespace

std::string format_expression(std::string_view name) {
  for (const Format& format : kFormats)
    if (format.name == name) return "(" + std::string(format.expression) + ")";
  return {};
}

}  // namespace starling::core
