// Builds the one script of the report. With --check nothing is written: what is committed must be the same.
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { typesOf } from "./schema-types.mjs";

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const shown = join(here, "../src/model_understanding/show/static");
const MOST_BYTES = 120_000;
// Members of our own objects, which nothing else reads and no string names: shortened with the rest.
// None of them may be in an object that is exported as JSON.
const INTERNAL = [
  ..."actions allowed allowedIn allowsAny attentionAt axisIndex choiceCounts choices choicesOf".split(" "),
  ..."colors contrastOf current currentStep cycleLevel destroy element firstKey firstRow".split(" "),
  ..."folded followsSteps globalPeak headCount indexOfToken isContrast isDense isLoaded joins".split(" "),
  ..."keyAxis keyOf layerCount leaveContrast listeners loadAll model moveHead moveLayer named".split(" "),
  ..."nearest overview payload planes radius rowAxis scene scored shapes showAttribution".split(" "),
  ..."showMap showTarget sinkShare spanByToken spans state stepOfToken store tableIndex".split(" "),
  ..."targetOfStep targetsFor tooltip unitOf unitsOf unitsShown unselect variables visit".split(" "),
  ..."visitDense visitMean visitTop watch wholePage".split(" "),
];

const schema = JSON.parse(await readFile(join(shown, "payload.schema.json"), "utf8"));
for (const { properties } of Object.values(schema.$defs)) {
  const named = INTERNAL.filter((name) => name in properties);
  if (named.length) throw new Error(`The payload has members that would be renamed: ${named.join(", ")}.`);
}
const isCheck = process.argv.includes("--check");
const stale = [];
await put(join(here, "src/data/payload.generated.ts"), typesOf(schema));

const result = await build({
  entryPoints: [join(here, "src/main.ts")],
  bundle: true,
  minify: true,
  format: "iife",
  target: ["chrome103", "firefox113", "safari16.4"],
  charset: "ascii",
  legalComments: "none",
  mangleProps: new RegExp(`^(${INTERNAL.join("|")})$`),
  loader: { ".css": "text" },
  plugins: [{ name: "minified-css", setup: minifiedCss }],
  write: false,
});
// A tab within a string, written so that it can be seen.
const script = result.outputFiles[0].text.trimEnd().replaceAll("\t", "\\t");
if (/<\/script|<!--/i.test(script)) throw new Error("The script would end the element it stands in.");
if (script.length > MOST_BYTES) throw new Error(`The script has ${script.length} bytes, over ${MOST_BYTES}.`);
await put(join(shown, "report.js"), `${script}\n`);
if (stale.length) {
  console.error(`Not what the sources give: ${stale.join(", ")}. Run scripts/build-frontend.`);
  process.exit(1);
}
console.log(`report.js: ${script.length} bytes`);

function minifiedCss(bundler) {
  bundler.onLoad({ filter: /\.css$/ }, async ({ path }) => {
    const minified = await build({ entryPoints: [path], minify: true, write: false, charset: "utf8" });
    return { contents: minified.outputFiles[0].text.trim(), loader: "text" };
  });
}

async function put(path, text) {
  const held = await readFile(path, "utf8").catch(() => "");
  if (held === text) return;
  if (isCheck) stale.push(path.slice(dirname(here).length + 1));
  else await writeFile(path, text);
}
