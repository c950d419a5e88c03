#include "client/render_html.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/render_json.h"

namespace culturetag::client {
namespace {

// The page in the order in which a browser reads it: what it looks like, its parts, and the script that fills them from
// `tags` (the JSON of TagsJson), `tagCount` and the player's audio.
constexpr absl::string_view kHead = R"(<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>culturetag</title>
<style>
  body { font: 14px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 64em; padding: 0 1em; color: #222; }
  h1 { font-size: 1.3em; overflow-wrap: anywhere; }
  h2 { font-size: 1em; margin: 1.5em 0 .3em; }
  audio, canvas { display: block; width: 100%; }
  #wave { height: 80px; margin-top: 1em; cursor: pointer; }
  .row { display: grid; grid-template-columns: 12em 1fr 3em; gap: .8em; align-items: center; }
  .row span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .row canvas { height: 16px; cursor: pointer; background: #f3f3f3; }
  .score { text-align: right; font-variant-numeric: tabular-nums; }
  .about { color: #666; }
</style>
<h1></h1>
<p class="about"></p>
<audio controls></audio>
<canvas id="wave" width="1024" height="80"></canvas>
<main></main>
<script>
)";

constexpr absl::string_view kScript = R"(
const length = tags.audio.duration_seconds;
const player = document.querySelector('audio');
const wave = document.querySelector('#wave');
const rows = [];

function seekOnClick(canvas) {
  canvas.addEventListener('click', (event) => {
    const box = canvas.getBoundingClientRect();
    player.currentTime = (event.clientX - box.left) / box.width * length;
  });
}

function drawCursor(canvas, pen) {
  pen.fillStyle = '#d33';
  pen.fillRect(player.currentTime / length * canvas.width, 0, 2, canvas.height);
}

// A window's colour is its score. The last window overlaps the one before it and is drawn behind that one's end.
function drawRow({canvas, scores}) {
  const pen = canvas.getContext('2d');
  pen.clearRect(0, 0, canvas.width, canvas.height);
  let drawn = 0;
  tags.windows.forEach((window, i) => {
    const begin = Math.max(drawn, window.start_seconds);
    drawn = window.start_seconds + window.duration_seconds;
    pen.fillStyle = `rgba(20, 110, 80, ${scores[i]})`;
    pen.fillRect(begin / length * canvas.width, 0, (drawn - begin) / length * canvas.width, canvas.height);
  });
  drawCursor(canvas, pen);
}

function addRow(section, tag, scores) {
  const row = section.appendChild(document.createElement('div'));
  row.className = 'row';
  const label = row.appendChild(document.createElement('span'));
  label.textContent = tag.label;
  label.title = `${tag.label} (${tag.category})`;
  const canvas = row.appendChild(document.createElement('canvas'));
  canvas.width = 1024;
  canvas.height = 16;
  const score = row.appendChild(document.createElement('span'));
  score.className = 'score';
  score.textContent = tag.score.toFixed(2);
  seekOnClick(canvas);
  rows.push({canvas, scores});
}

function addHead(head, index) {
  const section = document.querySelector('main').appendChild(document.createElement('section'));
  section.appendChild(document.createElement('h2')).textContent = head.head;
  for (const tag of head.tags.slice(0, tagCount || undefined)) {
    const scores = tags.windows.map((window) =>
      window.heads[index].tags.find((other) => other.label === tag.label)?.score ?? 0);
    addRow(section, tag, scores);
  }
}

// The lowest and the highest sample of each column.
let columns = [];
function drawWave() {
  const pen = wave.getContext('2d');
  pen.clearRect(0, 0, wave.width, wave.height);
  pen.fillStyle = '#58a';
  columns.forEach(([low, high], x) => {
    const top = (1 - high) / 2 * wave.height;
    pen.fillRect(x, top, 1, Math.max((high - low) / 2 * wave.height, 1));
  });
  drawCursor(wave, pen);
}

async function readWave() {
  const samples = (await new OfflineAudioContext(1, 1, 24000).decodeAudioData(bytes.buffer)).getChannelData(0);
  for (let x = 0; x < wave.width; x++) {
    let low = 0, high = 0;
    const end = Math.floor((x + 1) * samples.length / wave.width);
    for (let i = Math.floor(x * samples.length / wave.width); i < end; i++) {
      low = Math.min(low, samples[i]);
      high = Math.max(high, samples[i]);
    }
    columns.push([low, high]);
  }
}

function draw() {
  drawWave();
  rows.forEach(drawRow);
}

document.title = document.querySelector('h1').textContent = tags.file;
document.querySelector('.about').textContent =
  `${length.toFixed(1)} s, ${tags.audio.format}; ${tags.model} ${tags.model_version}`;
const bytes = Uint8Array.from(atob(audio), (character) => character.charCodeAt(0));
player.src = URL.createObjectURL(new Blob([bytes]));
seekOnClick(wave);
tags.heads.forEach(addHead);
draw();
player.addEventListener('timeupdate', draw);
readWave().then(draw, (error) => { wave.title = `no waveform: ${error}`; }).finally(() => {
  document.body.dataset.ready = columns.length;
});
</script>
</html>
)";

}  // namespace

std::string TagsHtml(absl::string_view file, absl::string_view audio, const v1::TagResponse& response, int tag_count) {
  // In a script, `</script>` ends it, even in a string.
  const std::string tags = absl::StrReplaceAll(TagsJson(file, response), {{"<", "\\u003c"}});
  return absl::StrCat(kHead, "const tags = ", tags, ";\nconst tagCount = ", tag_count, ";\nconst audio = '",
                      absl::Base64Escape(audio), "';\n", kScript);
}

}  // namespace culturetag::client
