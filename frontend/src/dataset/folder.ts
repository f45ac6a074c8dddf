/** Where the folder of a run is, as an argument of a command. */

/**
 * The path of the run's folder: that of this page where it lies in it, else its name after `path/to/`.
 *
 * A page that is passed on names no folder of its author's disk; only the browser knows where it is opened.
 */
export function folderOf(
  name: string,
  { protocol, pathname }: { protocol: string; pathname: string },
): string {
  let path = "";
  try {
    path = protocol === "file:" ? decodeURIComponent(pathname).replace(/\/[^/]*$/, "") : "";
  } catch {
    // an address that is no text
  }
  const folder = /^\/[A-Za-z]:\//.test(path) ? path.slice(1) : path;
  return folder.endsWith(`/${name}`) ? folder : `path/to/${name}`;
}

/** An argument that a shell takes as it is. */
export function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'"'"'`)}'`;
}
