/** Entry point of the pages of ledgers. */

import { start } from "../start";
import { mountLedger } from "./page";

start(mountLedger);
