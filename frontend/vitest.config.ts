import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [
    { name: "css-as-text", transform: (_, id) => (id.endsWith(".css") ? 'export default ""' : undefined) },
  ],
  test: { include: ["test/**/*.test.ts"] },
});
