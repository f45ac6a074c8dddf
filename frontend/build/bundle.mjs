// Builds the report's script. With --check nothing is written; the committed files must be up to date.
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { typesOf } from "./schema-types.mjs";

const frontend = dirname(dirname(fileURLToPath(import.meta.url)));
const assets = join(frontend, "../src/model_understanding/show/static");
// Answers of every kind of model and the links of two texts: 10 kB more than classifiers and decoders need.
const MAX_BYTES = 176_000;
// Members of internal objects, shortened in the bundle. None may be accessed by a string or exported as JSON.
const INTERNAL = [
  ..."actions allowed allowedIn allowsAny attentionAt axisIndex choiceCounts choices choicesOf".split(" "),
  ..."colors contrastOf current currentStep cycleLevel destroy element firstKey firstRow".split(" "),
  ..."folded followsSteps globalPeak headCount indexOfToken isContrast isDense isLoaded joins".split(" "),
  ..."keyAxis keyOf layerCount leaveContrast listeners loadAll model moveHead moveLayer named".split(" "),
  ..."nearest overview payload planes radius rowAxis scene scored shapes showAttribution".split(" "),
  ..."showMap showTarget sinkShare spanByToken spans state stepOfToken store tableIndex".split(" "),
  ..."targetOfStep targetsFor tooltip unitOf unitsOf unitsShown unselect variables visit".split(" "),
  ..."bySteps isFaded wholeOf isWhole reading moveStep explain bring tokensOf globalScale ramp".split(" "),
  ..."rowHeight cellWidth cellHeight ticks hatch leaveContrast unselect moveTo cycleLevel".split(" "),
  ..."visitDense visitMean visitTop watch wholePage".split(" "),
];

const schema = JSON.parse(await readFile(join(assets, "payload.schema.json"), "utf8"));
for (const { properties } of Object.values(schema.$defs)) {
  const renamed = INTERNAL.filter((name) => name in properties);
  if (renamed.length)
    throw new Error(`The payload has members that would be renamed: ${renamed.join(", ")}.`);
}
const isCheck = process.argv.includes("--check");
const stale = [];
await put(join(frontend, "src/data/payload.generated.ts"), typesOf(schema));

const result = await build({
  entryPoints: [join(frontend, "src/main.ts")],
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
// Write tabs in strings as \t.
const script = result.outputFiles[0].text.trimEnd().replaceAll("\t", "\\t");
if (/<\/script|<!--/i.test(script))
  throw new Error("The script contains </script or <!--, which would break its script element.");
if (script.length > MAX_BYTES)
  throw new Error(`The script has ${script.length} bytes; the limit is ${MAX_BYTES}.`);
await put(join(assets, "report.js"), `${script}\n`);
if (stale.length) {
  console.error(`Out of date: ${stale.join(", ")}. Run scripts/build-frontend.`);
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
  const current = await readFile(path, "utf8").catch(() => "");
  if (current === text) return;
  if (isCheck) stale.push(path.slice(dirname(frontend).length + 1));
  else await writeFile(path, text);
}
