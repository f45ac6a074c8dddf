// Builds the scripts of the pages. With --check nothing is written; the committed files must be up to date.
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { typesOf } from "./schema-types.mjs";

const frontend = dirname(dirname(fileURLToPath(import.meta.url)));
const assets = join(frontend, "../src/model_understanding/show/static");
// Each page has a script of its own, so that none carries what only another draws.
const SCRIPTS = [
  // Answers of every kind of model and the links of two texts: 10 kB more than classifiers and decoders need.
  { name: "report.js", entry: "src/main.ts", most: 176_000 },
  { name: "dataset.js", entry: "src/dataset/main.ts", most: 90_000 },
  { name: "ledger.js", entry: "src/ledger/main.ts", most: 70_000 },
  // Its table is exported as a picture: 7 kB that draw one.
  { name: "sources.js", entry: "src/sources/main.ts", most: 76_000 },
];
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

const sizes = [];
for (const { name, entry, most } of SCRIPTS) {
  const script = await bundled(entry);
  if (script.length > most) throw new Error(`${name} has ${script.length} bytes; the limit is ${most}.`);
  await put(join(assets, name), `${script}\n`);
  sizes.push(`${name}: ${script.length} bytes`);
}
if (stale.length) {
  console.error(`Out of date: ${stale.join(", ")}. Run scripts/build-frontend.`);
  process.exit(1);
}
console.log(sizes.join("\n"));

async function bundled(entry) {
  const result = await build({
    entryPoints: [join(frontend, entry)],
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
  return script;
}

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
