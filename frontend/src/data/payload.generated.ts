// Made by build/schema-types.mjs from payload.schema.json. Do not edit.

export interface Payload {
  readonly schema: 1;
  /** The answer in words. */
  readonly title: string;
  /** Task and model. */
  readonly origin: string;
  readonly tables: readonly (Table)[];
  readonly prediction: Prediction | null;
  readonly generation: Generation | null;
  readonly answer: Answer | null;
  readonly attributions: readonly (Attribution)[];
  /** The attribution that says why a token was written and not another, the last; -1 none. */
  readonly contrasts: number;
  /** What each saliency map says; the first belongs to the map that the page opens with, unless the answer names another. A map without one was not measured. */
  readonly readings: readonly (Reading)[];
  readonly links: Links | null;
  readonly attention: readonly (Attention)[];
  readonly heads: HeadScores | null;
  readonly evaluations: readonly (Evaluation)[];
  readonly agreements: readonly (Agreement)[];
  readonly lens: Lens | null;
  readonly neurons: Neurons | null;
  readonly cautions: readonly (string)[];
  readonly notes: readonly (string)[];
  readonly provenance: readonly (Named)[];
  /** What the page leaves out, in words. */
  readonly omitted: readonly (string)[];
  readonly palette: Palettes;
}

/** Two reports side by side, over the U units of their texts' alignment. */
export interface ComparisonPayload {
  readonly schema: 1;
  readonly kind: "comparison";
  /** Of the first report and of the second. */
  readonly answers: readonly (ComparedAnswer)[];
  /** How the texts and the models differ. */
  readonly inputs: string;
  readonly largest: LargestChange | null;
  readonly cautions: readonly (string)[];
  /** What else differs, and what could not be compared. */
  readonly remarks: readonly (string)[];
  /** The first text's tokens and the second's. */
  readonly tables: readonly (Table)[];
  /** For each unit its token in the first table and in the second; -1 none. */
  readonly pairs: readonly (number)[];
  readonly kinds: readonly ("same" | "replaced" | "first only" | "second only")[];
  /** Whether each text is a prompt and what follows it. */
  readonly continues: boolean;
  readonly outputs: readonly (NamedPair)[];
  readonly attributions: readonly (ComparedAttribution)[];
  readonly attention: readonly (ComparedAttention)[];
  readonly evaluations: readonly (NamedPair)[];
  readonly notes: readonly (string)[];
  readonly provenance: readonly (NamedPair)[];
  readonly omitted: readonly (string)[];
  readonly palette: Palettes;
}

export interface NamedPair {
  readonly name: string;
  readonly first: string;
  readonly second: string;
  /** Their difference, or a verdict. */
  readonly remark: string;
}

export interface ComparedAnswer {
  /** Of the report. */
  readonly name: string;
  /** The label, or what the model wrote. */
  readonly title: string;
  /** The label's probability, or the number of tokens. */
  readonly value: string;
  readonly isText: boolean;
  readonly modelName: string;
}

/** The largest change of a probability, a token's share or an attention weight, and where the page shows it; -1 none. */
export interface LargestChange {
  readonly kind: "share" | "output" | "attention";
  readonly words: string;
  /** The attribution, output or map. */
  readonly part: number;
  readonly target: number;
  /** Of the attribution's tokens. */
  readonly unit: number;
  /** Position among the map's layers. */
  readonly layer: number;
  /** Position among the map's heads. */
  readonly head: number;
  readonly row: number;
  readonly key: number;
}

export interface Verdict {
  readonly verdict: "supported" | "weak" | "not supported" | "not measured";
  /** What the verdict rests on; may be empty. */
  readonly words: string;
}

/** Two maps over V units; a unit that is only in one text changes by its whole value. */
export interface ComparedTarget {
  readonly name: string;
  /** The unit of the token that is explained; -1 none. */
  readonly unit: number;
  readonly first: readonly (number | null)[];
  readonly second: readonly (number | null)[];
  /** The value, and the difference, with the full color. */
  readonly full: number;
  /** The units with the largest differences that count, largest first. */
  readonly largest: readonly (number)[];
  /** Pieces of a sentence; every second one is a word of the texts, to be emphasized. */
  readonly why: readonly (string)[];
  readonly agreement: string;
  /** On the map of the first report and of the second. */
  readonly trust: readonly (Verdict)[];
}

/** The words or the tokens of both texts, V units. */
export interface ComparedLevel {
  readonly name: "word" | "token";
  /** For each of the U units of the texts its own unit; -1 none. */
  readonly units: readonly (number)[];
  readonly kinds: readonly ("same" | "replaced" | "first only" | "second only")[];
  /** Empty where the first text has nothing. */
  readonly firstLabels: readonly (string)[];
  readonly secondLabels: readonly (string)[];
  readonly special: readonly (boolean)[];
  /** The whole answer first, if there is one. */
  readonly targets: readonly (ComparedTarget)[];
}

export interface ComparedAttribution {
  readonly title: string;
  readonly methods: string;
  readonly measure: "score" | "share" | "size";
  readonly measureWords: string;
  readonly signed: boolean;
  /** Words, and tokens where they are not the same. */
  readonly levels: readonly (ComparedLevel)[];
}

export interface ComparedCell {
  readonly row: number;
  readonly key: number;
  /** Both weights. */
  readonly words: string;
  readonly difference: string;
}

/** Differences of weights, the second less the first, over rows and keys of their own. */
export interface ComparedAttention {
  readonly name: string;
  /** Whether weights are shares of their row. */
  readonly isShares: boolean;
  /** Whether every layer and head is here; else only means. */
  readonly hasHeads: boolean;
  /** The largest differences of the mean over layers and heads, exact. */
  readonly cells: readonly (ComparedCell)[];
  /** The largest absolute difference of each head, layer by layer. */
  readonly largest: readonly (number)[];
  /** The largest weight of both maps in each matrix, layer by layer, the means last; of the mean of all alone where no heads are here. */
  readonly reach: readonly (number)[];
  /** Why means are compared; empty where heads are. */
  readonly reason: string;
  /** The layer of each block; empty for one reduction over layers. */
  readonly layers: readonly (number)[];
  /** The head of each plane of a block; empty for one reduction over heads. */
  readonly heads: readonly (number)[];
  readonly layerWords: string;
  readonly headWords: string;
  readonly steps: boolean;
  readonly rowLabels: readonly (string)[];
  readonly keyLabels: readonly (string)[];
  /** For each row a unit of the comparison; -1 none. */
  readonly rowUnits: readonly (number)[];
  readonly keyUnits: readonly (number)[];
  readonly mask: Mask;
  readonly weights: Weights;
}

/** What each of L layers, from the embeddings to the last, would answer at P positions. Flat lists run over layers, then positions, then places among the likeliest. */
export interface Lens {
  readonly table: number;
  /** The token after which the answer is read; -1 the whole text. */
  readonly positions: readonly (number)[];
  readonly layers: readonly (string)[];
  /** How many of the likeliest are held. */
  readonly top: number;
  /** Each answer once. */
  readonly labels: readonly (string)[];
  /** The likeliest answers, as places among the labels. */
  readonly entries: readonly (number)[];
  readonly probabilities: readonly (number)[];
  /** In nats. */
  readonly entropies: readonly (number)[];
  /** KL (last layer to layer) in nats. */
  readonly divergences: readonly (number)[];
  /** Of the last layer's answer. */
  readonly ranks: readonly (number)[];
  /** The token that follows each position, as a place among the labels; -1 none. */
  readonly next: readonly (number)[];
  /** Pieces of code; every second one is the name of a value chosen in the page: LAYER, HEAD, QUERY, STEP or OTHER. */
  readonly python: readonly (string)[];
}

export interface Neurons {
  readonly held: readonly (QueryKey)[];
  /** Pieces of code; every second one is the name of a value chosen in the page: LAYER, HEAD, QUERY, STEP or OTHER. */
  readonly python: readonly (string)[];
}

/** One query of one head and its keys of most weight; products run over keys, then dimensions. */
export interface QueryKey {
  readonly table: number;
  /** The table of the query: that of the keys, unless it is of another text. */
  readonly queryTable: number;
  readonly query: number;
  readonly layer: number;
  readonly head: number;
  readonly keys: readonly (number)[];
  readonly width: number;
  readonly products: readonly (number)[];
  readonly additions: readonly (number)[];
  readonly scores: readonly (number)[];
  readonly weights: readonly (number)[];
}

export interface Named {
  readonly name: string;
  readonly value: string;
}

/** A sequence of T tokens and the text they stand in. */
export interface Table {
  readonly texts: readonly (string)[];
  /** A short readable label for each token. */
  readonly labels: readonly (string)[];
  readonly pieces: readonly (string)[];
  readonly ids: readonly (number)[];
  /** Which text a token stands in; -1 none. */
  readonly segments: readonly (number)[];
  /** Start and end of each token in code points of its text, one after the other. */
  readonly offsets: readonly (number)[];
  readonly special: readonly (boolean)[];
  /** Whether the tokenizer does not know the token's text, and the model reads its unknown token. */
  readonly unknown: readonly (boolean)[];
  readonly groups: Groups;
  readonly runs: Runs;
}

/** For each token, the unit it belongs to at a level; units are numbered from 0 in reading order. */
export interface Groups {
  /** Tokens that share one visible character are one unit. */
  readonly token: readonly (number)[];
  readonly word: readonly (number)[];
  readonly sentence: readonly (number)[];
}

/** The texts cut into runs that leave out nothing, controls made visible. */
export interface Runs {
  readonly texts: readonly (string)[];
  /** The unit (at level token) a run belongs to; -1 between tokens. */
  readonly units: readonly (number)[];
  readonly pills: readonly (boolean)[];
  /** Which text a run stands in; -1 none. */
  readonly sources: readonly (number)[];
}

export interface Prediction {
  readonly table: number;
  readonly labels: readonly (string)[];
  readonly logits: readonly (number)[];
  readonly probabilities: readonly (number)[] | null;
  readonly problem: string;
}

export interface Generation {
  readonly table: number;
  readonly promptLength: number;
  readonly probabilities: readonly (number)[];
  /** In nats. */
  readonly entropies: readonly (number)[];
  readonly topLabels: readonly (readonly (string)[])[];
  readonly topProbabilities: readonly (readonly (number)[])[];
  readonly topIds: readonly (readonly (number)[])[];
  readonly given: boolean;
  readonly ended: boolean;
}

/** Labeled tokens, an answer span, filled masks, or choices. */
export interface Answer {
  /** What is shown large. */
  readonly title: string;
  /** Its probability; may be empty. */
  readonly value: string;
  readonly facts: string;
  /** What the model was given. */
  readonly texts: readonly (string)[];
  /** What label, tag and value of the rows are. */
  readonly columns: readonly (string)[];
  /** Whose tokens the marks are of. */
  readonly table: number;
  /** What the answer is about, in the text. */
  readonly marks: readonly (AnswerMark)[];
  readonly rows: readonly (AnswerRow)[];
  /** How many rows are not here. */
  readonly omitted: number;
  /** The map that the page opens with, among the readings. */
  readonly opens: number;
}

export interface AnswerMark {
  /** The first token, in the table. */
  readonly first: number;
  readonly last: number;
  readonly label: string;
  readonly value: string;
  /** The map that explains it, among the readings; -1 none. */
  readonly opens: number;
}

export interface AnswerRow {
  readonly label: string;
  /** The label of an entity; else empty. */
  readonly tag: string;
  /** What it is one of several answers to; may be empty. */
  readonly group: string;
  readonly value: string;
  /** Length of its bar. */
  readonly share: number | null;
  /** Whether the model answers it. */
  readonly predicted: boolean;
  /** The map that explains it, among the readings; -1 none. */
  readonly opens: number;
}

/** What pairs of words of two texts add to their similarity. */
export interface Links {
  readonly title: string;
  /** Words of the first text. */
  readonly first: readonly (string)[];
  readonly second: readonly (string)[];
  readonly specialFirst: readonly (boolean)[];
  readonly specialSecond: readonly (boolean)[];
  /** What each pair of words adds to the similarity. */
  readonly scores: readonly (readonly (number)[])[];
  /** The contribution with the full color. */
  readonly peak: number;
  /** The strongest, strongest first. */
  readonly links: readonly (Link)[];
  readonly omitted: number;
  /** What the pairs add up to. */
  readonly quantity: string;
  /** How the pairs and the rest add up. */
  readonly sum: string;
  readonly notes: readonly (string)[];
  /** Pieces of code; every second one is the name of a value chosen in the page: LAYER, HEAD, QUERY, STEP or OTHER. */
  readonly python: readonly (string)[];
}

export interface Link {
  readonly row: number;
  readonly column: number;
  readonly words: string;
  readonly strength: number;
}

export interface Target {
  readonly name: string;
  readonly description: string;
  readonly output: number;
  readonly outputWords: string;
  /** What a score above zero does. */
  readonly above: string;
  /** What a score below zero does. */
  readonly below: string;
  /** The step of the generation that is explained; -1 none. */
  readonly step: number;
  /** The id of the one token or class that it is contrasted with; -1 none. */
  readonly against: number;
  readonly againstName: string;
  readonly baseline: number | null;
  readonly gap: number | null;
}

export interface Attribution {
  readonly title: string;
  readonly method: string;
  readonly methodWords: string;
  readonly table: number;
  /** Where its tokens stand in the table. */
  readonly positions: readonly (number)[];
  readonly signed: boolean;
  /** How scores join to words and sentences. */
  readonly norm: "sum" | "l1" | "l2" | "max";
  readonly targets: readonly (Target)[];
  /** For each target the raw score of each token, exact; null where it has none: it cannot contribute, or the method keeps it in place. */
  readonly scores: readonly (readonly (number | null)[])[];
  /** Standard errors of the scores. */
  readonly errors: readonly (readonly (number)[])[] | null;
  /** What reproduces it on the command line; empty where it has no names there. */
  readonly command: string;
  /** What each of two texts is; empty for a single text. */
  readonly sides: readonly (string)[];
  /** What a target is. */
  readonly noun: string;
  /** The first token of the second of two texts, in the table; -1 none. */
  readonly second: number;
  /** Pieces of code; every second one is the name of a value chosen in the page: LAYER, HEAD, QUERY, STEP or OTHER. */
  readonly python: readonly (string)[];
}

/** What the map of one target, or of the sum of targets, says, and the verdict on it. */
export interface Reading {
  readonly attribution: number;
  /** The first target. */
  readonly first: number;
  /** The last target; the map is their sum. */
  readonly last: number;
  /** The question that the map answers. */
  readonly title: string;
  /** Pieces of a sentence; every second one is a word of the text, to be emphasized. */
  readonly why: readonly (string)[];
  /** The level at which the text is best read. */
  readonly level: "token" | "character" | "word" | "sentence";
  /** Whether only words of the prompt are colored and listed: the sum over a continuation. */
  readonly ofPrompt: boolean;
  readonly verdict: "supported" | "weak" | "not supported" | "not measured";
  /** What the verdict rests on, in a sentence; may be empty. */
  readonly words: string;
}

export interface Attention {
  /** Its kind, and the stack of an encoder–decoder; maps of one kind belong together. */
  readonly map: string;
  /** Its name in a title. */
  readonly name: string;
  /** Which stack of an encoder–decoder it is of; else empty. */
  readonly stack: string;
  /** What the tokens that attend are called. */
  readonly queryName: string;
  readonly keyName: string;
  /** The layer of each block of weights; empty for one reduction over layers. */
  readonly layers: readonly (number)[];
  /** The head of each plane of a block; empty for one reduction over heads. */
  readonly heads: readonly (number)[];
  readonly layerWords: string;
  readonly headWords: string;
  readonly rowTable: number;
  /** Where the tokens that look (or, with steps, those they produced) stand in the table. */
  readonly rowPositions: readonly (number)[];
  /** The last token of each row where neighbors were pooled; else empty. */
  readonly rowEnds: readonly (number)[];
  readonly keyTable: number;
  readonly keyPositions: readonly (number)[];
  readonly keyEnds: readonly (number)[];
  /** Whether the rows are the steps of a generation. */
  readonly steps: boolean;
  /** How many neighboring tokens a row and a column stand for, at most. */
  readonly pooled: number;
  /** Whether the weights are plain attention, in which a key that takes most is a sink. */
  readonly isAttention: boolean;
  readonly mask: Mask;
  readonly weights: Weights;
  /** Attention sinks: positions among the keys, layer by layer: of each head, then of the mean over heads if there are several. */
  readonly sinks: readonly (readonly (number)[])[];
  /** The share of the attention that each sink receives. */
  readonly sinkShares: readonly (readonly (number)[])[];
  /** Pieces of code; every second one is the name of a value chosen in the page: LAYER, HEAD, QUERY, STEP or OTHER. */
  readonly python: readonly (string)[];
}

/** Scores of every attention head of the model: S of them for each of L layers and H heads, by their index. */
export interface HeadScores {
  readonly names: readonly (string)[];
  readonly meanings: readonly (string)[];
  /** Whether a score ranks by its size. */
  readonly signed: readonly (boolean)[];
  /** Which stack of an encoder–decoder the heads are of; else empty. */
  readonly stack: string;
  /** How many a layer has. */
  readonly heads: number;
  /** Of each name, layer by layer, in four digits. */
  readonly scores: readonly (readonly (number)[])[];
}

/** Which keys a row may look at. */
export interface Mask {
  readonly kind: "full" | "causal" | "bits";
  /** Causal: row r sees the keys up to r + offset. */
  readonly offset: number;
  /** Bits: rows times keys bits, the highest of a byte first, deflated, base64. */
  readonly data: string;
}

/** Quantized weights: level = round(levels * sqrt(|weight| / scale)); signed ones add or subtract it from 128. */
export interface Weights {
  /** Every unmasked cell, row by row; or the largest of each row. */
  readonly kind: "dense" | "top";
  readonly levels: number;
  readonly scale: number;
  readonly signed: boolean;
  /** The largest difference between a weight kept and its quantized value. */
  readonly error: number;
  /** How many weights of a row are kept at most. */
  readonly kept: number;
  /** Their share of all weight. */
  readonly share: number;
  /** Whether each block ends with a plane more, the mean over its heads. */
  readonly means: boolean;
  /** One for each layer: deflated bytes in base64. Top: keys of each row as differences (16 bits, low byte first), then levels. */
  readonly blocks: readonly (string)[];
}

/** How far two attributions of one text and the same targets agree, for each target. */
export interface Agreement {
  readonly first: number;
  readonly second: number;
  /** Spearman's rank correlation. */
  readonly correlations: readonly (number | null)[];
  /** The share of the largest tokens that both have. */
  readonly overlaps: readonly (number | null)[];
  /** How many the largest are. */
  readonly counts: readonly (number)[];
  /** Whether signs are compared, or sizes alone. */
  readonly signed: boolean;
}

export interface Evaluation {
  /** The question of the map that it is about, empty if it is of none. */
  readonly about: string;
  readonly metric: string;
  /** What the metric answers, in words. */
  readonly question: string;
  /** What is read, and what stands in for removed tokens. */
  readonly condition: string;
  readonly value: number | null;
  readonly valueWords: string;
  /** Of a value that is normalized from 0 to 1: what it was before, and what it could be; else empty. */
  readonly limits: string;
  readonly curve: readonly (readonly (number)[])[];
  readonly control: readonly (number)[];
  /** What the control is of, empty where there is none. */
  readonly controlWords: string;
  readonly higherIsBetter: boolean;
  readonly verdict: string | null;
  readonly reasons: readonly (string)[];
}

/** Where in a model a difference arises: between two texts, or between two models on one text. */
export interface LedgerPayload {
  readonly schema: 1;
  readonly kind: "ledger" | "diff";
  readonly title: string;
  /** What the page is of, and the model. */
  readonly origin: string;
  /** Where the difference arises, in sentences. */
  readonly answer: readonly (string)[];
  /** What was compared, and the difference. */
  readonly headline: string;
  readonly target: string;
  readonly difference: number;
  /** The text, and its reference if that is another text. */
  readonly texts: readonly (LedgerText)[];
  /** What a text was compared with if that is no other text; empty otherwise. */
  readonly baseline: string;
  /** The models that were compared; empty where texts were. */
  readonly models: readonly (LedgerModel)[];
  readonly axes: readonly (LedgerAxis)[];
  /** Empty where there is no difference. */
  readonly maps: readonly (LedgerMap)[];
  /** What restoring modules gave; empty if it was not asked for. */
  readonly restored: readonly (Named)[];
  /** How much of the difference the cuts leave unexplained. */
  readonly gap: string;
  readonly gaps: readonly (LedgerGap)[];
  /** What a ledger does not say. */
  readonly note: string;
  readonly cautions: readonly (string)[];
  readonly howToRead: readonly (string)[];
  readonly provenance: readonly (Named)[];
  /** Empty where there is no code for it. */
  readonly python: string;
  /** Empty where there is none. */
  readonly command: string;
  readonly palette: Palettes;
}

export interface LedgerModel {
  /** Which of the two it is. */
  readonly name: string;
  readonly called: string;
  /** What it answers; empty if that is not known. */
  readonly answer: string;
  /** The target's value in it. */
  readonly value: string;
}

/** One of the texts compared, in parts. */
export interface LedgerText {
  readonly name: string;
  /** The target's value on it. */
  readonly value: string;
  readonly direction: "ltr" | "rtl";
  readonly parts: readonly (LedgerPart)[];
}

export interface LedgerPart {
  readonly text: string;
  /** Its first token; -1 between tokens. */
  readonly first: number;
  readonly last: number;
  readonly differs: boolean;
  /** Whether it is set apart: a special token or a filler. */
  readonly isPill: boolean;
}

/** The columns of a map, C of them. */
export interface LedgerAxis {
  /** What stands before a name in a sentence. */
  readonly word: string;
  /** What a column is. */
  readonly noun: string;
  readonly names: readonly (string)[];
  readonly labels: readonly (string)[];
  /** What each is compared with; empty where it is the same. */
  readonly seconds: readonly (string)[];
  /** Whether it differs. */
  readonly marked: readonly (boolean)[];
  /** Whether it is a special token. */
  readonly muted: readonly (boolean)[];
  /** First and last column of each one that is drawn: neighbors with next to nothing are one. */
  readonly drawn: readonly (number)[];
}

/** Contributions of R rows, from the first layer to the last, and C columns. */
export interface LedgerMap {
  readonly key: string;
  readonly name: string;
  readonly meaning: string;
  /** Each row in a sentence. */
  readonly rows: readonly (string)[];
  readonly rowLabels: readonly (string)[];
  readonly rowNoun: string;
  readonly axis: number;
  /** Row by row. */
  readonly values: readonly (number)[];
  /** The contribution with the strongest color. */
  readonly reach: number;
  /** Whether each row sums to the difference. */
  readonly isCut: boolean;
  readonly ranked: readonly (LedgerCell)[];
}

export interface LedgerCell {
  readonly row: number;
  readonly column: number;
  readonly place: string;
  readonly value: string;
  readonly share: string;
  readonly strength: number;
}

export interface LedgerGap {
  readonly name: string;
  readonly sum: string;
  readonly gap: string;
}

/** Which sources each statement of an answer comes from, S sources, T statements, W words. */
export interface AnswerMapPayload {
  readonly schema: 1;
  readonly title: string;
  /** What the page is of, and the model. */
  readonly origin: string;
  /** Which statements come from which sources. */
  readonly headline: readonly (AnswerMapName)[];
  /** Empty where it is not known by itself. */
  readonly question: string;
  /** What an answer map does not say. */
  readonly note: string;
  /** Whether effects are on how much likelier words are than another text. */
  readonly isCompared: boolean;
  /** Words that rest on nothing in the sources; empty for none. */
  readonly unfounded: string;
  readonly cautions: readonly (string)[];
  readonly direction: "ltr" | "rtl";
  /** The answer, in reading order. */
  readonly runs: readonly (AnswerMapRun)[];
  readonly statements: readonly (AnswerMapStatement)[];
  readonly sources: readonly (AnswerMapSource)[];
  /** The sources that the table shows first. */
  readonly columns: readonly (number)[];
  readonly words: AnswerMapWords;
  /** Nats of an effect whose color is at 63 % of its full strength. */
  readonly scale: number;
  /** The part of the color scale that texts use. */
  readonly reach: number;
  /** What the numbers mean. */
  readonly numbers: readonly (string)[];
  readonly howToRead: readonly (string)[];
  /** How the sources got into the prompt. */
  readonly layout: string;
  /** The prompt with names in the place of the sources' texts. */
  readonly prompt: string;
  /** Documents that the prompt does not contain. */
  readonly missing: readonly (string)[];
  readonly provenance: readonly (Named)[];
  readonly palette: Palettes;
}

export interface AnswerMapName {
  readonly text: string;
  /** The source that is named; -1 for other words. */
  readonly source: number;
}

export interface AnswerMapRun {
  readonly text: string;
  /** -1 outside of statements. */
  readonly statement: number;
  /** -1 between words. */
  readonly word: number;
  /** Where a word comes from that its statement is judged on. */
  readonly origin: "" | "sources" | "answer" | "question" | "unclear" | "nothing";
  /** Whether it is a special token. */
  readonly isPill: boolean;
}

export interface AnswerMapStatement {
  readonly text: string;
  readonly origin: "sources" | "answer" | "question" | "unclear" | "nothing";
  /** What stands after it in place of numbers of sources. */
  readonly mark: string;
  /** The sources that it comes from. */
  readonly sources: readonly (number)[];
  readonly verdict: readonly (AnswerMapName)[];
  /** The effect of each of the S sources. */
  readonly effects: readonly (number)[];
  /** The effect of each sentence that was removed by itself, then the estimate of each that only has one. */
  readonly sentences: readonly (number)[];
  /** The sources that change it, the strongest first. */
  readonly attributed: readonly (AnswerMapEffect)[];
  /** The words that it is judged on. */
  readonly values: readonly (AnswerMapValue)[];
  /** What else was measured. */
  readonly more: readonly (Named)[];
}

export interface AnswerMapEffect {
  readonly source: number;
  readonly effect: number;
  /** What the effect means. */
  readonly words: string;
  /** -1 if none was removed by itself. */
  readonly sentence: number;
  readonly quote: string;
  readonly more: string;
  /** Whether the statement comes from the source. */
  readonly isMain: boolean;
}

export interface AnswerMapValue {
  readonly text: string;
  readonly origin: "sources" | "answer" | "question" | "unclear" | "nothing";
  readonly words: string;
}

export interface AnswerMapSource {
  readonly name: string;
  readonly direction: "ltr" | "rtl";
  /** The statements that come from it. */
  readonly statements: readonly (number)[];
  /** Other statements that it changes. */
  readonly others: readonly (number)[];
  /** Why its sentences have no color; empty where they have effects. */
  readonly hint: string;
  /** Whether its effects are estimates: it was only removed in a group. */
  readonly isEstimate: boolean;
  readonly sentences: readonly (AnswerMapSentence)[];
}

export interface AnswerMapSentence {
  readonly text: string;
  /** Its row in the effects of sentences; -1 if it has none. From the number of rows of words.sentences on they are estimates. */
  readonly row: number;
  /** Whether it is the source's name. */
  readonly isTitle: boolean;
  /** Whether it is shown where the source is folded. */
  readonly isKept: boolean;
}

/** Effects on each of the W words. */
export interface AnswerMapWords {
  /** Of all sources together. */
  readonly all: readonly (number)[];
  readonly sources: readonly (readonly (number)[])[];
  /** Of each sentence that was removed by itself. */
  readonly sentences: readonly (readonly (number)[])[];
}

/** What a run over a data set says about a model. Rows are given by their index in rows. */
export interface DatasetPayload {
  readonly schema: 1;
  readonly kind: "dataset";
  readonly title: string;
  /** Data set, model and method. */
  readonly origin: string;
  readonly headline: string;
  /** What a reader must know first. */
  readonly topics: readonly (DatasetTopic)[];
  readonly figures: readonly (Figure)[];
  /** What the numbers of words are. */
  readonly measure: "effect" | "importance";
  /** Whether numbers below 0 oppose the answer. */
  readonly signed: boolean;
  readonly answers: readonly (DatasetAnswer)[];
  /** Null if no word was tested. */
  readonly shortcuts: readonly (DatasetShortcut)[] | null;
  /** Words with which an answer is given too often. */
  readonly overused: readonly (DatasetOverused)[];
  /** Null if they were not looked for. */
  readonly slices: readonly (DatasetSlice)[] | null;
  /** Null without labels. */
  readonly confusion: DatasetConfusion | null;
  readonly distributions: readonly (DatasetHistogram)[];
  /** Rows whose answer is wrong, the most confident first. */
  readonly wrong: readonly (number)[];
  /** Null if it was not measured. */
  readonly trust: DatasetTrust | null;
  readonly rows: readonly (DatasetRow)[];
  /** What opens a row as a report; null if the folder is not known. */
  readonly command: DatasetCommand | null;
  /** Why rows were not explained, and how many. */
  readonly errors: readonly (Named)[];
  /** What could not be computed. */
  readonly notes: readonly (string)[];
  /** What is said of words with which an answer is given too often. */
  readonly howOverused: string;
  /** Which words were tested, and how. */
  readonly howTested: string;
  readonly howToRead: readonly (string)[];
  readonly provenance: readonly (Named)[];
  readonly omitted: readonly (string)[];
  readonly palette: Palettes;
}

/** Two runs side by side. */
export interface DatasetComparisonPayload {
  readonly schema: 1;
  readonly kind: "dataset comparison";
  readonly title: string;
  readonly origin: string;
  readonly headline: string;
  readonly topics: readonly (DatasetTopic)[];
  /** The first run and the second. */
  readonly runs: readonly (DatasetRun)[];
  readonly measure: "effect" | "importance";
  readonly signed: boolean;
  readonly changes: readonly (DatasetChange)[];
  /** Rows of the second run with another answer. */
  readonly changed: readonly (DatasetNewAnswer)[];
  readonly notes: readonly (string)[];
  readonly howToRead: readonly (string)[];
  readonly provenance: readonly (NamedPair)[];
  readonly omitted: readonly (string)[];
  readonly palette: Palettes;
}

export interface DatasetNewAnswer {
  readonly row: number;
  /** What the first run answered. */
  readonly previous: string;
}

export interface DatasetRun {
  /** What the run is called. */
  readonly name: string;
  readonly origin: string;
  readonly headline: string;
  readonly figures: readonly (Figure)[];
  readonly rows: readonly (DatasetRow)[];
  readonly command: DatasetCommand | null;
}

/** A command: its beginning, the folder of the run, and a row's own argument. */
export interface DatasetCommand {
  /** Program, subcommand and, where it is needed, the model. */
  readonly start: string;
  /** The name of the run's folder, without the path to it. */
  readonly folder: string;
}

/** A word in two runs; differences are in units of each run's mean absolute score. */
export interface DatasetChange {
  readonly word: string;
  readonly label: string | null;
  readonly before: DatasetSide | null;
  readonly after: DatasetSide | null;
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  /** The p-value after the correction. */
  readonly adjusted: number;
  readonly significant: boolean;
}

export interface DatasetSide {
  readonly effect: number;
  readonly low: number;
  readonly high: number;
  readonly count: number;
  readonly share: number;
  /** Of its run. */
  readonly rows: readonly (number)[];
}

/** Sentences about one thing. */
export interface DatasetTopic {
  /** What they are about; empty if they say it. */
  readonly name: string;
  /** Sentences in pieces; every second piece is a word or a label. */
  readonly findings: readonly (readonly (string)[])[];
}

/** A number at the top of the page. */
export interface Figure {
  readonly name: string;
  readonly value: string;
  readonly detail: string;
  /** The section that has more of it; empty for none. */
  readonly section: string;
}

export interface DatasetAnswer {
  /** Null for a language model. */
  readonly label: string | null;
  /** Rows with this answer. */
  readonly rows: number;
  /** Rows with this right class. */
  readonly labeled: number | null;
  readonly words: DatasetWords;
  readonly phrases: DatasetWords;
}

/** Words or phrases, one entry of each list for each. */
export interface DatasetWords {
  readonly words: readonly (string)[];
  readonly effects: readonly (number)[];
  /** Lower ends of the 95 % intervals. */
  readonly lows: readonly (number)[];
  readonly highs: readonly (number)[];
  readonly spreads: readonly (number)[];
  readonly counts: readonly (number)[];
  readonly rows: readonly (number)[];
  readonly shares: readonly (number)[];
  /** Null without labels. */
  readonly precisions: readonly (number | null)[];
  /** Of all rows with it, the share that has this answer; null for a language model. */
  readonly answerShares: readonly (number | null)[];
  readonly examples: readonly (readonly (number)[])[];
}

/** A word that was tested causally. */
export interface DatasetShortcut {
  readonly word: string;
  readonly label: string;
  readonly effect: number;
  readonly inserted: DatasetCausal;
  readonly swapped: DatasetCausal | null;
  readonly controls: readonly (string)[];
  readonly confirmed: boolean;
  /** Rows that have the word and another right class, and those of them that the model gives the word's class; null without labels. */
  readonly misled: readonly (number)[] | null;
  /** Rows whose answer the word changes. */
  readonly changes: readonly (DatasetChangedRow)[];
}

/** A row with a word put in, and what the model then answers. */
export interface DatasetChangedRow {
  readonly row: number;
  readonly before: string;
  readonly word: string;
  readonly after: string;
  readonly answer: string;
  readonly probability: number;
}

export interface DatasetCausal {
  readonly trials: number;
  readonly flips: number;
  readonly controlTrials: number;
  readonly controlFlips: number;
  /** Of the two shares. */
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  readonly shift: number;
  readonly adjusted: number;
}

/** A word with which an answer is given more often than is right. */
export interface DatasetOverused {
  readonly word: string;
  /** The answer. */
  readonly label: string;
  /** Labeled rows with the word. */
  readonly rows: number;
  readonly answered: number;
  readonly labeled: number;
  /** Of the difference of shares. */
  readonly low: number;
  readonly high: number;
  readonly adjusted: number;
  readonly examples: readonly (number)[];
}

/** Wrong and confident rows for what looks like one reason. */
export interface DatasetSlice {
  readonly words: readonly (string)[];
  /** How its rows are wrong: their right class and answer. */
  readonly mistake: string;
  readonly errors: number;
  readonly size: number;
  readonly precision: number;
  /** In which way the words are common to the errors. */
  readonly foundBy: string;
  readonly rows: readonly (number)[];
}

export interface DatasetConfusion {
  readonly labels: readonly (string)[];
  /** Whether all cells are here; else the most frequent mistakes. */
  readonly isMatrix: boolean;
  readonly cells: readonly (DatasetCell)[];
  /** Rows of each right class. */
  readonly totals: readonly (number)[];
}

export interface DatasetCell {
  /** The right class. */
  readonly label: number;
  readonly prediction: number;
  readonly count: number;
  readonly confidence: number | null;
}

export interface DatasetHistogram {
  readonly name: string;
  readonly edges: readonly (number)[];
  readonly counts: readonly (number)[];
}

export interface DatasetTrust {
  readonly rows: number;
  readonly sentence: string;
  readonly verdicts: readonly (DatasetVerdict)[];
  readonly supported: number;
  readonly low: number;
  readonly high: number;
  readonly least: readonly (number)[];
  readonly cautions: readonly (string)[];
}

export interface DatasetVerdict {
  readonly name: string;
  readonly count: number;
}

export interface DatasetRow {
  /** Its place in the input, from 0. */
  readonly row: number;
  readonly id: string;
  /** What names it in a command. */
  readonly argument: string;
  readonly label: string | null;
  readonly prediction: string | null;
  readonly probability: number | null;
  readonly verdict: string | null;
  readonly texts: readonly (DatasetText)[];
}

/** A text, or the parts of a long one around its strongest words. */
export interface DatasetText {
  /** Every second part is a word. */
  readonly parts: readonly (string)[];
  /** Of each word. */
  readonly scores: readonly (number)[];
}

export interface Palettes {
  readonly light: Palette;
  readonly dark: Palette;
}

/** The colors of one theme, as #rrggbb; ramps from nothing to full in even steps. */
export interface Palette {
  readonly names: readonly (string)[];
  readonly values: readonly (string)[];
  readonly supports: readonly (string)[];
  readonly against: readonly (string)[];
  readonly unsigned: readonly (string)[];
  readonly attention: readonly (string)[];
}
