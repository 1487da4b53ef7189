/** Every topic of the vault that the demo speaks about, in a fixed order. */

import type { Topic } from './topic.ts';
import { gardenTopics } from './garden.ts';
import { homeTopics } from './home.ts';
import { kitchenTopics } from './kitchen.ts';
import { musicTopics } from './music.ts';
import { peopleTopics } from './people.ts';
import { readingTopics } from './reading.ts';
import { sportTopics } from './sport.ts';
import { studyTopics } from './study.ts';
import { travelTopics } from './travel.ts';
import { vaultTopics } from './vault.ts';
import { wellbeingTopics } from './wellbeing.ts';
import { workTopics } from './work.ts';

export const TOPIC_GROUPS = {
  vault: vaultTopics,
  kitchen: kitchenTopics,
  garden: gardenTopics,
  music: musicTopics,
  sport: sportTopics,
  work: workTopics,
  study: studyTopics,
  home: homeTopics,
  reading: readingTopics,
  travel: travelTopics,
  wellbeing: wellbeingTopics,
  people: peopleTopics,
} as const satisfies Record<string, readonly Topic[]>;

export const TOPICS: readonly Topic[] = Object.values(TOPIC_GROUPS).flat();
