#include "client/bench/load_html.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace culturetag::client {
namespace {

// The plot's size without its margins, in pixels.
constexpr double kWidth = 720;
constexpr double kHeight = 320;
// The percentiles that the horizontal axis reaches, in nines: 99.9 %. Each nine takes the same room, for the tail is
// what matters.
constexpr double kNines = 3;
constexpr int kPoints = 60;

constexpr absl::string_view kHead = R"(<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>culturetag bench</title>
<style>
  body { font: 14px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 64em; padding: 0 1em; color: #222; }
  text { font-size: 12px; fill: #555; }
  .grid { stroke: #ddd; }
  .goal { stroke: #d33; stroke-dasharray: 4; }
  polyline { fill: none; stroke-width: 2; }
</style>
<h1>Latency by percentile</h1>
)";

std::string Escape(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}});
}

double Percentile(double nines) { return 100 * (1 - std::pow(10, -nines)); }

// One step's latencies, in the colour of its place among the steps.
std::string Curve(const LoadStep& step, double share_of_steps, absl::Duration top) {
  std::string points;
  for (int point = 1; point <= kPoints; ++point) {
    const double nines = kNines * point / kPoints;
    const double share = absl::FDivDuration(step.result.latency.Percentile(Percentile(nines)), top);
    absl::StrAppendFormat(&points, "%.1f,%.1f ", nines / kNines * kWidth, (1 - share) * kHeight);
  }
  return absl::StrFormat("<polyline stroke=\"hsl(%.0f 60%% 40%%)\" points=\"%s\"><title>%.2f/s</title></polyline>\n",
                         200 + 140 * share_of_steps, points, step.offered_rate);
}

// Lines at whole nines and at quarters of the height, with their values.
std::string Grid(absl::Duration top) {
  std::string grid;
  for (int nines = 0; nines <= kNines; ++nines) {
    const double x = nines / kNines * kWidth;
    absl::StrAppendFormat(&grid, "<line class=\"grid\" x1=\"%.0f\" x2=\"%.0f\" y2=\"%.0f\"/>", x, x, kHeight);
    absl::StrAppendFormat(&grid, "<text x=\"%.0f\" y=\"%.0f\">p%g</text>\n", x, kHeight + 16, Percentile(nines));
  }
  for (int quarter = 1; quarter <= 4; ++quarter) {
    const double y = (1 - quarter / 4.0) * kHeight;
    absl::StrAppendFormat(&grid, "<line class=\"grid\" y1=\"%.0f\" y2=\"%.0f\" x2=\"%.0f\"/>", y, y, kWidth);
    absl::StrAppendFormat(&grid, "<text x=\"-8\" y=\"%.0f\" text-anchor=\"end\">%.3f s</text>\n", y + 4,
                          absl::ToDoubleSeconds(top) * quarter / 4);
  }
  return grid;
}

std::string Plot(const std::vector<LoadStep>& steps, const Goal& goal) {
  absl::Duration top = absl::Microseconds(1);
  for (const LoadStep& step : steps) top = std::max(top, step.result.latency.Percentile(Percentile(kNines)));
  std::string plot = absl::StrFormat("<svg viewBox=\"-80 -12 %.0f %.0f\" role=\"img\">\n%s", kWidth + 120, kHeight + 36,
                                     Grid(top));
  for (std::size_t i = 0; i < steps.size(); ++i) {
    absl::StrAppend(&plot, Curve(steps[i], static_cast<double>(i) / static_cast<double>(steps.size()), top));
  }
  if (goal.latency <= top) {
    const double y = (1 - absl::FDivDuration(goal.latency, top)) * kHeight;
    absl::StrAppendFormat(&plot, "<line class=\"goal\" y1=\"%.1f\" y2=\"%.1f\" x2=\"%.0f\"/>\n", y, y, kWidth);
  }
  return plot + "</svg>\n";
}

}  // namespace

std::string LoadHtml(const std::vector<LoadStep>& steps, const Goal& goal) {
  std::string page = absl::StrCat(kHead, Plot(steps, goal));
  for (const LoadStep& step : steps) absl::StrAppend(&page, "<pre>", Escape(LoadText(step, goal)), "</pre>\n");
  return page + "</html>\n";
}

}  // namespace culturetag::client
