/** Entry point of the pages of data sets. */

import { start } from "../start";
import { mountDataset } from "./page";

start(mountDataset);
