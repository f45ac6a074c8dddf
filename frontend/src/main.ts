/** Entry point of the pages of reports and of comparisons. */

import { mount } from "./mount";
import { start } from "./start";

start(mount);
