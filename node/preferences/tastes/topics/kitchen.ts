import type { Topic } from './topic.ts';

/** Cooking and drinking. */
export const kitchenTopics: readonly Topic[] = [
  {
    name: 'bread',
    notes: ['Bread Log', 'Starter Diary'],
    snippets: [
      ['dataview', 'LIST FROM #bread', 'list every bread note'],
      ['python', 'water = flour * 0.7', 'work out the water'],
    ],
    aspects: [
      {
        goals: ['keep my starter alive', 'look after a bread starter'],
        tips: [
          ['feed {your} starter every morning', 'it will stay lively'],
          ['keep the jar in a warm corner', 'the starter rises faster'],
          ['use the same flour each time', 'the results are easy to compare'],
          ['put the jar in the fridge before a trip', 'it is safe for two weeks'],
        ],
      },
      {
        goals: ['bake a better loaf', 'bake good bread at home'],
        tips: [
          ['weigh the flour and the water', 'every loaf turns out the same'],
          ['let the dough rest in the fridge', 'the bread tastes better'],
          ['heat the oven for a full hour', 'the crust gets crisp'],
          ['wait an hour before cutting the loaf', 'the inside is not sticky'],
        ],
      },
    ],
  },
  {
    name: 'meal planning',
    notes: ['Meal Plan', 'Shopping List'],
    snippets: [
      ['dataview', 'TABLE minutes FROM #recipe', 'show how long each recipe takes'],
      ['dataview', 'LIST FROM #recipe AND #quick', 'find the quick recipes'],
    ],
    aspects: [
      {
        goals: ['plan my meals', 'make a meal plan'],
        tips: [
          ['plan five dinners and leave two free', 'there is room for leftovers'],
          ['choose two meals that share vegetables', 'less food is thrown away'],
          ['cook a double portion on Sunday', 'Monday is easy'],
          ['ask everyone at home for one wish', 'nobody will complain'],
        ],
      },
      {
        goals: ['write a good shopping list', 'shop for the kitchen'],
        tips: [
          ['look into the fridge before shopping', 'nothing is bought twice'],
          ['sort {your} list by the parts of the shop', 'the walk is short'],
          ['keep a list of things that run out', 'the basics are always there'],
          ['go to the shop after a meal', 'snacks are less tempting'],
        ],
      },
    ],
  },
  {
    name: 'coffee',
    notes: ['Coffee Log', 'Bean Notes'],
    snippets: [
      ['python', 'water = grams * 16', 'work out the water for the coffee'],
      ['dataview', 'TABLE rating FROM #coffee', 'show the rating of each bean'],
    ],
    aspects: [
      {
        goals: ['brew better coffee', 'make good coffee at home'],
        tips: [
          ['grind {your} beans just before brewing', 'the smell stays in the cup'],
          ['weigh the beans and the water', 'a good cup can be repeated'],
          ['use water just below boiling', 'the coffee is not bitter'],
          ['rinse the paper filter first', 'the cup has no paper taste'],
        ],
      },
      {
        goals: ['compare coffee beans', 'keep track of coffee beans'],
        tips: [
          ['write down the roast date of each bag', '{you} can tell when it is stale'],
          ['change only one thing per cup', 'the cause of a change is clear'],
          ['give each bean a number from one to five', 'the favourites are easy to find'],
          ['taste two beans side by side', 'small differences stand out'],
        ],
      },
    ],
  },
  {
    name: 'recipes',
    notes: ['Recipe Box', 'Soup Notes'],
    snippets: [
      ['dataview', 'LIST FROM #recipe SORT rating DESC', 'list the best recipes first'],
      ['js', 'amounts.map(a => a * guests / 4)', 'scale a recipe to the guests'],
    ],
    aspects: [
      {
        goals: ['store my recipes', 'collect recipes in my vault'],
        tips: [
          ['keep one note per recipe', 'each dish is found by its name'],
          ['put the shopping items at the top', 'the list can be copied fast'],
          ['add a photo of the finished dish', 'it is easy to choose'],
          ['note what was changed each time', 'the recipe gets better'],
        ],
      },
      {
        goals: ['cook a good soup', 'make a soup from leftovers'],
        tips: [
          ['fry the onions slowly in butter', 'the soup tastes rich'],
          ['add the salt in small steps', 'it is never too much'],
          ['keep the soft vegetables for the end', 'they will not fall apart'],
          ['squeeze some lemon into the pot', 'the taste is fresh'],
        ],
      },
    ],
  },
];
