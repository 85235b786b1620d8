#pragma once
// The formats of a report. Each is a pure function; each text ends with a newline.
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "lib/health/outcome.hpp"

namespace codops::health {

// For people: aligned, failures first, each with stage, time and hint. `width` in columns.
std::string table(const Report& report, std::size_t width, bool color);
// {"healthy","exit","started","elapsed_seconds","counts":{…},"checks":[{"name","kind","target","status","stage","message",
// "hint","address","attempts","elapsed_seconds","stages":{…},"http":{…},"tls":{…},"metrics":[…]}]}
nlohmann::json to_json(const Report& report, bool strict);
// One testsuite; a failed check is a failure, an unknown one an error. `strict`: so is a warning a failure.
std::string junit(const Report& report, bool strict = false);
// Monitoring Plugins guidelines: one line with performance data, then a line a check that is not well.
std::string nagios(const Report& report);
// The line of a run that could not begin: a plugin that says nothing tells nobody why.
std::string nagios(const Failure& failure);
// 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
Exit nagios_exit(const Report& report);
// Prometheus text exposition format 0.0.4.
std::string prometheus(const Report& report);
// Workflow commands of GitHub Actions: an error or warning a check that is not well, then one notice. `strict`: as for JUnit.
std::string github(const Report& report, bool strict = false);

// "2 of 3 checks are well · 1 failed"
std::string summary(const Report& report);
// Each line cut to `width` columns, colours not counted: a line that wraps would be two for who counts lines.
std::string fitted_lines(std::string_view text, std::size_t width);
// At most `rows` lines: the first ones, how many are left out, and the last one (the summary).
std::string fitted_rows(std::string_view text, std::size_t rows);
// Worst first, equal ones in the order of the checks.
std::vector<const Outcome*> worst_first(const Report& report);

}  // namespace codops::health
