// TypeScript types of the payload, from its JSON Schema.

/** Return the source of a module with one interface for each definition. */
export function typesOf(schema) {
  const parts = Object.entries(schema.$defs).map(([name, definition]) => interfaceOf(name, definition));
  return `// Made by build/schema-types.mjs from payload.schema.json. Do not edit.\n\n${parts.join("\n\n")}\n`;
}

function interfaceOf(name, definition) {
  const lines = Object.entries(definition.properties).map(([key, value]) => {
    const remark = value.description ? `  /** ${value.description} */\n` : "";
    return `${remark}  readonly ${key}: ${typeOf(value)};`;
  });
  const remark = definition.description ? `/** ${definition.description} */\n` : "";
  return `${remark}export interface ${name} {\n${lines.join("\n")}\n}`;
}

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((item) => JSON.stringify(item)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  switch (schema.type) {
    case "array":
      return `readonly (${typeOf(schema.items)})[]`;
    case "integer":
    case "number":
      return "number";
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    default:
      throw new Error(`Unsupported schema: ${JSON.stringify(schema)}`);
  }
}
