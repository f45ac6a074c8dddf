/** Entry point of the pages of answer maps. */

import { start } from "../start";
import { mountAnswerMap } from "./page";

start(mountAnswerMap);
